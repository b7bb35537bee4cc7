import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { defaultPolicy } from './after-failure.ts';
import type { Appended } from './aside.ts';
import { PermanentError, UnavailableError } from './errors.ts';
import { createPartitionRun } from './partition.ts';
import type { ConsumedRecord } from './record.ts';
import { createSlots } from './slots.ts';
import { newTask, type Task, type Work } from './task.ts';

describe('the records of a partition', () => {
  it('commits nothing before its effect, keeps each key in order, and is done with each record once', async () => {
    const record = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', null),
      // How many turns of the event loop the handler takes, and whether it fails for good.
      turns: fc.nat(6),
      fails: fc.boolean(),
    });
    const scripts = fc.record({
      records: fc.array(record, { maxLength: 60 }),
      batched: fc.boolean(),
      concurrency: fc.integer({ min: 1, max: 5 }),
      batchMax: fc.integer({ min: 1, max: 10 }),
    });
    await fc.assert(
      fc.asyncProperty(scripts, async ({ records, batched, concurrency, batchMax }) => {
        const effects: number[] = [];
        const check = () => {
          const mark = Number(run.committable() ?? 0n);
          for (let offset = 0; offset < mark; offset += 1) assert.ok(done.has(offset), `${offset} < ${mark}`);
        };
        const done = new Set<number>();
        const one = async (it: ConsumedRecord) => {
          const script = records[Number(it.offset)];
          for (let turn = script?.turns ?? 0; turn > 0; turn -= 1) await turnOfTheLoop();
          check();
          if (script?.fails) throw new PermanentError('refused', 'by the script');
          effects.push(Number(it.offset));
          return 'handled';
        };
        const many = async (all: readonly ConsumedRecord[]) => {
          await turnOfTheLoop();
          check();
          if (all.some(({ offset }) => records[Number(offset)]?.fails)) throw new Error('one of them fails');
          effects.push(...all.map(({ offset }) => Number(offset)));
          return all.map(() => 'handled');
        };
        const scene = aPartition({ one, many: batched ? many : undefined, concurrency, batchMax });
        const { run } = scene;
        scene.onFinished = (task) => {
          assert.ok(!done.has(Number(task.record.offset)), 'done twice');
          done.add(Number(task.record.offset));
        };
        run.begin();
        const all = records.map(({ key }, at) => aRecord(at, key));
        run.add(all, 0n, BigInt(all.length) + 1n);
        await run.idle();
        await run.settled();
        assert.equal(run.committable(), BigInt(all.length) + 1n);
        assert.deepEqual(
          scene.buried.map(Number).sort((a, b) => a - b),
          records.flatMap(({ fails }, at) => (fails ? [at] : [])),
        );
        for (const key of ['a', 'b', 'c', 'd']) {
          const ofKey = effects.filter((at) => records[at]?.key === key);
          assert.deepEqual(
            ofKey,
            [...ofKey].sort((a, b) => a - b),
            `key ${key}`,
          );
        }
        assert.equal(new Set(effects).size, effects.length);
      }),
      { numRuns: 150 },
    );
  });

  it('waits, reads no more, and spends no attempt while something is away', async () => {
    const attempts: number[] = [];
    let isAway = true;
    const scene = aPartition({
      one: async (_, { attempt }) => {
        attempts.push(attempt);
        if (isAway) throw new UnavailableError('away');
        return 'handled';
      },
    });
    scene.onFetching = (wanted) => {
      if (!wanted) isAway = false;
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'a')], 0n, 2n);
    await scene.run.idle();
    assert.deepEqual(attempts, [1, 1, 1]);
    assert.deepEqual(scene.fetching, [false, true]);
    assert.deepEqual(scene.buried, []);
  });

  it('keeps a batch together and in its place when something is away', async () => {
    const calls: string[][] = [];
    const scene = aPartition({
      one: async () => 'handled',
      many: async (records) => {
        calls.push(records.map(({ offset }) => offset));
        if (calls.length === 1) throw new UnavailableError('away');
        return records.map(() => 'handled');
      },
      batchMax: 2,
    });
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'a'), aRecord(2, 'a')], 0n, 3n);
    await scene.run.idle();
    assert.deepEqual(calls, [['0', '1'], ['0', '1'], ['2']]);
  });

  it('finds the one record of a batch that fails by halves, and handles the others together', async () => {
    const calls: number[] = [];
    const alone: string[] = [];
    const scene = aPartition({
      one: async ({ offset }) => {
        alone.push(offset);
        if (offset === '41') throw new Error('this one');
        return 'handled';
      },
      many: async (records) => {
        calls.push(records.length);
        if (records.some(({ offset }) => offset === '41')) throw new Error('one of them fails');
        return records.map(() => 'handled');
      },
      batchMax: 64,
    });
    scene.run.begin();
    const all = Array.from({ length: 64 }, (_, at) => aRecord(at, `key ${at}`));
    scene.run.add(all, 0n, 64n);
    await scene.run.idle();
    assert.deepEqual(calls, [64, 32, 32, 16, 8, 8, 4, 2, 2, 4, 16]);
    assert.deepEqual([alone.length, scene.buried, scene.run.committable()], [2, ['41'], 64n]);
  });

  it('queues all records of a key that waits in one step, and the rest when there is room again', async () => {
    const steps: string[][] = [];
    let room = 2;
    const scene = aPartition({ one: async () => 'handled' });
    scene.waits = () => true;
    scene.appendAll = (tasks) => {
      steps.push(tasks.map(({ record }) => record.offset));
      const statuses = tasks.map((_, at) => (at < room ? ('kept' as const) : ('full' as const)));
      room = 9;
      return statuses;
    };
    scene.run.begin();
    scene.run.add(
      [0, 1, 2, 3].map((at) => aRecord(at, 'a')),
      0n,
      4n,
    );
    await scene.run.idle();
    assert.deepEqual(steps, [
      ['0', '1', '2', '3'],
      ['2', '3'],
    ]);
    assert.equal(scene.run.committable(), 4n);
  });

  it('keeps the order of a key in a batch when one of its records cannot be read at once', async () => {
    const effects: string[] = [];
    let reads = 0;
    const scene = aPartition({
      admit: (record) => {
        if (record.offset === '1' && ++reads === 1) throw new Error('once');
        return record;
      },
      one: async ({ offset }) => {
        effects.push(offset);
        return 'handled';
      },
      many: async (records) => {
        // Long enough for a lane to run beside it.
        for (let turn = 0; turn < 5; turn += 1) await turnOfTheLoop();
        effects.push(...records.map(({ offset }) => offset));
        return records.map(() => 'handled');
      },
    });
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'a'), aRecord(2, 'a'), aRecord(3, 'b')], 0n, 4n);
    await scene.run.idle();
    assert.deepEqual(effects, ['0', '3', '1', '2']);
  });

  it('puts aside what fails, and what comes after it in its key, while other keys go on', async () => {
    const seen: string[] = [];
    const parked = new Set<string>();
    const scene = aPartition({
      one: async ({ offset }) => {
        seen.push(offset);
        if (offset === '0') throw new Error('once');
        return 'handled';
      },
    });
    scene.bury = async ({ record }) => parked.add(String(record.key)).size > 0;
    scene.waits = ({ record }) => parked.has(String(record.key));
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'a'), aRecord(2, 'b')], 0n, 3n);
    await scene.run.idle();
    assert.deepEqual([seen, scene.buried, scene.appended], [['0', '2'], ['0'], ['1']]);
    assert.equal(scene.run.committable(), 3n);
  });

  it('handles a record whose key waits no longer, after all', async () => {
    const seen: string[] = [];
    let waits = true;
    const scene = aPartition({
      one: async ({ offset }) => {
        seen.push(offset);
        return 'handled';
      },
    });
    scene.waits = () => waits;
    scene.append = () => {
      waits = false;
      return 'gone';
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a')], 0n, 1n);
    await scene.run.idle();
    assert.deepEqual([seen, scene.appended], [['0'], ['0']]);
  });

  it('reads no more while a line has no room, commits nothing past it, and lets other keys go on', async () => {
    const seen: string[] = [];
    let isFull = true;
    const scene = aPartition({
      one: async ({ offset }) => {
        seen.push(offset);
        return 'handled';
      },
    });
    scene.waits = ({ record }) => String(record.key) === 'a';
    scene.append = () => (isFull ? 'full' : 'kept');
    scene.onFetching = (wanted) => {
      if (!wanted) isFull = false;
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'b')], 0n, 2n);
    await turnOfTheLoop();
    assert.deepEqual([seen, scene.run.committable(), scene.fetching], [['1'], 0n, [false]]);
    await scene.run.idle();
    assert.deepEqual(
      [scene.appended, scene.fetching],
      [
        ['0', '0'],
        [false, true],
      ],
    );
  });

  it('reads no more while there is no room for what failed, and tries that no second time', async () => {
    const seen: string[] = [];
    let asked = 0;
    const scene = aPartition({
      one: async ({ offset, key }) => {
        seen.push(offset);
        if (String(key) === 'a') throw new PermanentError('refused', 'always');
        return 'handled';
      },
    });
    scene.bury = async () => {
      asked += 1;
      return asked > 2;
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'b')], 0n, 2n);
    await turnOfTheLoop();
    assert.deepEqual([seen, scene.run.committable(), scene.fetching], [['0', '1'], 0n, [false]]);
    await scene.run.idle();
    assert.deepEqual([seen, asked, scene.buried, scene.fetching], [['0', '1'], 3, ['0'], [false, true]]);
    assert.equal(scene.run.committable(), 2n);
  });

  it('stops at once when another owner has the partition, and says so once', async () => {
    let said = 0;
    const scene = aPartition({
      one: async () => {
        throw Object.assign(new Error('raised'), { name: 'Fenced' });
      },
    });
    scene.onFenced = () => {
      said += 1;
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'b')], 0n, 2n);
    await scene.run.idle();
    await scene.run.settled();
    assert.deepEqual([said, scene.buried, scene.run.committable()], [1, [], 0n]);
  });

  it('begins no record before what waits is known, however often that must be asked', async () => {
    let asked = 0;
    const seen: number[] = [];
    const scene = aPartition({
      one: async () => {
        seen.push(asked);
        return 'handled';
      },
    });
    scene.open = async () => {
      asked += 1;
      if (asked === 1) throw new Error('not yet');
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a')], 0n, 1n);
    await scene.run.idle();
    assert.deepEqual(seen, [2]);
  });

  it('does not lose a dead letter that could not be stored', async () => {
    let refusals = 1;
    const scene = aPartition({
      one: async () => {
        throw new PermanentError('refused', 'for good');
      },
    });
    scene.bury = async () => {
      if (refusals-- > 0) throw new UnavailableError('Kafka is away');
      return true;
    };
    scene.run.begin();
    scene.run.add([aRecord(0, 'a')], 0n, 1n);
    await scene.run.idle();
    assert.deepEqual([scene.buried, scene.run.committable()], [['0'], 1n]);
  });

  it('tries no record before it is due, though it was fetched earlier, and others meanwhile', async () => {
    const dueAt = Date.now() + 40;
    const seen: [string, boolean][] = [];
    const scene = aPartition({
      taskOf: (record, now) => ({ ...newTask(record, now), notBefore: record.offset === '0' ? dueAt : now }),
      one: async ({ offset }) => {
        seen.push([offset, Date.now() >= dueAt]);
        return 'handled';
      },
    });
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'b')], 0n, 2n);
    await scene.run.idle();
    assert.deepEqual(seen, [
      ['1', false],
      ['0', true],
    ]);
  });

  it('begins nothing more once it has ended, and finishes what had begun', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const handled: string[] = [];
    const scene = aPartition({
      one: async ({ offset }) => {
        await gate;
        handled.push(offset);
        return 'handled';
      },
      concurrency: 1,
    });
    scene.run.begin();
    scene.run.add([aRecord(0, 'a'), aRecord(1, 'b')], 0n, 2n);
    await turnOfTheLoop();
    scene.run.end();
    open();
    await scene.run.settled();
    assert.deepEqual([handled, scene.run.committable()], [['0'], 1n]);
  });

  it('leaves what was aborted to whoever has the partition next', async () => {
    const scene = aPartition({
      one: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () =>
            reject(new PermanentError('aborted', 'not wanted any more')),
          );
        }),
    });
    scene.run.begin();
    scene.run.add([aRecord(0, 'a')], 0n, 1n);
    await turnOfTheLoop();
    scene.run.end();
    scene.run.abort();
    await scene.run.settled();
    assert.deepEqual([scene.buried, scene.run.committable()], [[], 0n]);
  });

  it('reads no more when too much is open, and goes on when half of it is done', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const scene = aPartition({
      one: async () => {
        await gate;
        return 'handled';
      },
    });
    scene.run.begin();
    const many = Array.from({ length: 4_100 }, (_, at) => aRecord(at, null));
    scene.run.add(many, 0n, 4_100n);
    assert.deepEqual(scene.fetching, [false]);
    open();
    await scene.run.idle();
    assert.deepEqual(scene.fetching, [false, true]);
  });
});

type Raw = Work<ConsumedRecord>;

function aPartition({
  admit = (record) => record,
  one,
  many,
  concurrency = 4,
  batchMax = 10,
  taskOf = newTask,
}: {
  admit?: Raw['admit'];
  one: Raw['one'];
  many?: Raw['many'];
  concurrency?: number;
  batchMax?: number;
  taskOf?: (record: ConsumedRecord, now: number) => Task<ConsumedRecord>;
}) {
  const buried: string[] = [];
  const fetching: boolean[] = [];
  const appended: string[] = [];
  const hooks = {
    /** false: there is no room. */
    bury: async (_task: Task<ConsumedRecord>): Promise<boolean> => true,
    append: (_task: Task<ConsumedRecord>): 'kept' | 'gone' | 'full' => 'kept',
    appendAll: (tasks: readonly Task<ConsumedRecord>[]): readonly Appended[] => tasks.map(hooks.append),
    waits: (_task: Task<ConsumedRecord>) => false,
    open: async () => {},
    onFenced: () => {},
    onFinished: (_task: Task<ConsumedRecord>, _outcome: string) => {},
    onFetching: (_wanted: boolean) => {},
  };
  const run = createPartitionRun<ConsumedRecord>({
    topic: 'orders.v1',
    partition: 0,
    order: 'by-key',
    work: { admit, identityOf: () => undefined, one, many },
    slots: createSlots(concurrency),
    aside: {
      open: () => hooks.open(),
      waits: (task) => hooks.waits(task),
      async append(tasks) {
        appended.push(...tasks.map(({ record }) => record.offset));
        return hooks.appendAll(tasks);
      },
      async setAside(task, step) {
        if ((await hooks.bury(task)) === false) return undefined;
        buried.push(task.record.offset);
        return step.kind === 'retry' ? 'parked' : 'dead-lettered';
      },
      claim: noInbox,
      async close() {},
    },
    policy: { ...defaultPolicy, delaysMs: [1_000] },
    onFenced: () => hooks.onFenced(),
    onFinished: (task, outcome) => hooks.onFinished(task, outcome),
    onFetching(wanted) {
      fetching.push(wanted);
      hooks.onFetching(wanted);
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    random: () => 0.999,
    batchMax,
    taskOf,
  });
  return Object.assign(hooks, { run, buried, appended, fetching });
}

function aRecord(offset: number, key: string | null): ConsumedRecord {
  const place = { topic: 'orders.v1', partition: 0, offset: String(offset) };
  return {
    ...place,
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from('v'),
    headers: {},
    timestamp: 0,
  };
}

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** As if the inbox knew nothing. */
const noInbox = () => ({
  once: async () => assert.fail('not asked for'),
  onceBatch: async () => assert.fail('not asked for'),
  async settle() {},
});
