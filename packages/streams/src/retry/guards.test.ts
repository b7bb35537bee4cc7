import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { defaultPolicy } from '../after-failure.ts';
import { PermanentError, UnavailableError } from '../errors.ts';
import { createPartitionRun } from '../partition.ts';
import type { ConsumedRecord } from '../record.ts';
import { createSlots } from '../slots.ts';
import { newTask, type Work } from '../task.ts';
import { createFloodGuard, usualFloodLimits } from './flood-guard.ts';
import { createFloodGate, withFloodGuard } from './guards.ts';

describe('a partition while most of what its group tries fails', () => {
  for (const how of ['its handler', 'its bytes'] as const) {
    for (const batched of [false, true]) {
      it(`reaches the good records behind bad ones (${how}, ${batched ? 'batches' : 'one by one'})`, async () => {
        const scene = aPartition(how, batched);
        // Good ones of the same tenants come behind, and more than the handlers at a time are bad.
        scene.run.add(records(1_000), 0n, 1_000n);
        await scene.until(() => scene.handled.size === 900);
        assert.deepEqual(scene.changes.slice(0, 2), [true, false]);
        assert.equal(scene.handled.size + scene.aside.length, 1_000);
        assert.equal(new Set(scene.aside).size, 100);
        assert.ok(scene.now() < 600_000, `${scene.now()} ms`);
      });
    }
  }

  it('books a probe that fails, so that the next is another; and nothing else', async () => {
    const scene = aPartition('its handler', false);
    scene.run.add(records(80), 0n, 80n);
    await scene.until(() => scene.aside.length === 60);
    assert.equal(new Set(scene.aside).size, 60);
    // 49 before it was shut, the others one at a time.
    assert.ok(scene.now() >= 11 * 5_000, `${scene.now()} ms`);
    assert.deepEqual(scene.changes, [true]);
  });

  it('gives up what ends the process, whatever else fails', () => {
    const guard = createFloodGuard({ ...usualFloodLimits, least: 2 }, Date.now, () => {});
    const gate = createFloodGate<ConsumedRecord>(guard, {}, 'orders.v1/0');
    const tasks = records(6).map((it) => newTask<ConsumedRecord>(it, 0));
    const judged = tasks.map((task) => gate.judge(task, new Error('a bad release')));
    assert.ok(judged.at(-1) instanceof UnavailableError);
    const crashed = new PermanentError('crashed', 'The process ended 3 times');
    const [task] = tasks;
    assert.ok(task !== undefined && gate.judge(task, crashed) === crashed);
  });
});

const badCount = 100;

function records(count: number): ConsumedRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    topic: 'orders.v1',
    partition: 0,
    offset: String(at),
    key: Buffer.from(`key-${at}`),
    value: Buffer.from('value'),
    headers: { tenant_id: Buffer.from(`tenant-${at % 3}`) },
    timestamp: 0,
  }));
}

/** The first hundred records fail, on a clock that runs as fast as the event loop. */
function aPartition(how: 'its handler' | 'its bytes', batched: boolean) {
  let time = 0;
  const timers = new Set<{ at: number; then: () => void }>();
  const clock = {
    now: () => time,
    after(ms: number, then: () => void) {
      const timer = { at: time + ms, then };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const changes: boolean[] = [];
  const handled = new Set<string>();
  const aside: string[] = [];
  const guard = createFloodGuard(usualFloodLimits, clock.now, (isShut) => changes.push(isShut));
  const isBad = ({ offset }: ConsumedRecord) => Number(offset) < badCount;
  const work: Work<ConsumedRecord> = {
    admit(record) {
      if (how === 'its bytes' && isBad(record)) throw new PermanentError('malformed_avro', 'no Avro');
      return record;
    },
    identityOf: () => undefined,
    async one(record) {
      if (isBad(record)) throw new Error('a bad record');
      handled.add(record.offset);
      return 'handled';
    },
    many: batched
      ? async (all) => {
          if (all.some(isBad)) throw new Error('one is bad');
          for (const { offset } of all) handled.add(offset);
          return all.map(() => 'handled');
        }
      : undefined,
  };
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const claim = { once: async () => undefined, onceBatch: async () => assert.fail(), settle: async () => {} };
  const run = createPartitionRun<ConsumedRecord>({
    topic: 'orders.v1',
    partition: 0,
    order: 'by-key',
    work: withFloodGuard(work, guard),
    flood: createFloodGate(guard, {}, 'orders.v1/0'),
    slots: createSlots(16),
    aside: {
      open: async () => {},
      waits: () => false,
      append: async (tasks) => tasks.map(() => 'gone'),
      async setAside({ record }) {
        aside.push(record.offset);
        return 'parked';
      },
      claim: () => claim,
      close: async () => {},
    },
    policy: defaultPolicy,
    onFinished() {},
    onFetching() {},
    onFenced() {},
    log: quiet,
    random: () => 0.5,
    batchMax: 50,
    clock,
  });
  run.begin();

  return {
    run,
    changes,
    handled,
    aside,
    now: () => time,
    async until(isSo: () => boolean) {
      while (!isSo()) {
        await new Promise((resolve) => setImmediate(resolve));
        const next = [...timers].sort((a, b) => a.at - b.at)[0];
        if (next === undefined) continue;
        timers.delete(next);
        time = Math.max(time, next.at);
        next.then();
        assert.ok(time < 3_600_000, `an hour has passed: ${handled.size} handled, ${aside.length} aside`);
      }
    },
  };
}
