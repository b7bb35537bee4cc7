/** The replication slot is lost under a running system, and docs/operations/slot-lost.md followed, command by command. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox } from '@ragline/postgres/outbox';
import { createPool, inTenant } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { topics } from '@ragline/schemas/topics';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { type RecordTap, startRecordTap } from '../../connectors/record-tap.ts';
import { eventually } from '../support/eventually.ts';
import { runRunbook } from '../support/runbook.ts';
import { stack } from '../support/stack.ts';
import { ownParts } from './own-parts.ts';

describe('a system whose replication slot is lost', function () {
  this.timeout(300_000);
  let tap: RecordTap;
  let pool: ReturnType<typeof createPool>;
  let db: pg.Client;
  after(async () => {
    await tap?.stop();
    await pool?.end();
    await db?.end();
  });
  const parts = ownParts();
  const keys = Array.from({ length: 20 }, () => randomUUIDv7());
  const written: string[] = [];

  before(async () => {
    tap = await startRecordTap({ kafka: stack().kafka, topics: [topics.orders.name] });
    pool = createPool({
      url: stack().databaseUrlOf('ragline_orders'),
      max: 1,
      applicationName: 'test-slot-lost',
      log: createLogger({ service: 'test', level: 'error' }),
      metrics: createMetrics({ service: 'test' }),
    });
    db = new pg.Client({ connectionString: stack().databaseUrl });
    await db.connect();
  });

  it('has every event once, in order, without a word to its clients', async () => {
    await write();
    await arrived();
    // Dropped while nobody reads it, as Postgres does when it holds back too much.
    await eventually(
      async () => {
        await db.query(
          "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'ragline_outbox' AND active",
        );
        await db.query("SELECT pg_drop_replication_slot('ragline_outbox')");
      },
      { withinMs: 30_000, everyMs: 1 },
    );
    await write();
    const env = { RAGLINE_DATA_DIR: parts().dataDir };
    const followed = await runRunbook('slot-lost.md', 'Bring it back', env, 240_000);
    assert.equal(followed.code, 0, followed.stderr + followed.stdout);
    await write();
    await arrived();
    for (const key of keys) {
      const ids = tap.records.filter((record) => record.key === key).map(({ headers }) => headers.id ?? '');
      const places = ids.map((id) => written.indexOf(id));
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
    }
  });

  async function write(): Promise<void> {
    for (const key of keys) {
      const row = {
        ...{ id: randomUUIDv7(), topic: topics.orders.name, key, tenant_id: randomUUIDv7(), user_id: '' },
        event_type: 'tested',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        payload: Buffer.from(key),
      };
      await inTenant(pool, row.tenant_id, (client) => appendOutbox(client, 'orders', [row]));
      written.push(row.id);
    }
  }

  async function arrived(): Promise<void> {
    await eventually(
      () => assert.deepEqual(tap.records.map(({ headers }) => headers.id ?? '').sort(), [...written].sort()),
      { withinMs: 60_000, everyMs: 200 },
    );
  }
});
