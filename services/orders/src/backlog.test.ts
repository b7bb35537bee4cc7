import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { afterEach, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { type Backlog, isFull, watchBacklog } from './backlog.ts';

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

describe('the way out to Kafka', () => {
  let backlog: Backlog | undefined;
  afterEach(() => backlog?.stop());

  it('is full from nine tenths of what the slot may keep', () => {
    assert.equal(isFull({ lag_bytes: 899, cap_bytes: 1_000 }), false);
    assert.equal(isFull({ lag_bytes: 900, cap_bytes: 1_000 }), true);
  });

  it('is never full without a limit, or without a slot', () => {
    assert.equal(isFull({ lag_bytes: 1e15, cap_bytes: null }), false);
    assert.equal(isFull(undefined), false);
  });

  it('closes when it is full, opens when it is not, and shows how far behind it is', async () => {
    const { metrics, slot } = watched();
    slot.lag_bytes = 950;
    await eventually(() =>
      assert.throws(() => backlog?.requireRoom(), { code: 'outbox_backlog', status: 503 }),
    );
    assert.match(await metrics.text(), /ragline_outbox_slot_lag_bytes\{service="test"\} 950/);
    slot.lag_bytes = 100;
    await eventually(() => backlog?.requireRoom());
  });

  it('is open while nobody can say', async () => {
    const { slot, asked } = watched();
    slot.isAway = true;
    await eventually(() => asked() > 2);
    backlog?.requireRoom();
  });

  function watched() {
    const slot = { lag_bytes: 0, isAway: false };
    let asked = 0;
    const metrics = createMetrics({ service: 'test' });
    const row = { slot_name: 'x', active: true, wal_status: 'reserved', lag_ms: 1, cap_bytes: 1_000 };
    const pool = {
      // biome-ignore lint/suspicious/noExplicitAny: the one row that is ever asked for.
      async query(): Promise<any> {
        asked += 1;
        if (slot.isAway) throw new Error('Postgres is away');
        return { rows: [{ ...row, lag_bytes: slot.lag_bytes }] };
      },
    };
    backlog = watchBacklog({ pool, slot: 'x', log: quiet, metrics, everyMs: 5 });
    return { metrics, slot, asked: () => asked };
  }
});
