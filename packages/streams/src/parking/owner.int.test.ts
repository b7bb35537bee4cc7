import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type pg from 'pg';
import { eventually } from '../../../../tests/support/eventually.ts';
import { PermanentError, UnavailableError } from '../errors.ts';
import { aPartition, effect, type Handle, labelled, openEffects } from './partition.scene.ts';
import type { ParkingStore } from './store.ts';
import type { ParkingScene } from './testing.ts';

describe('a partition with parking on Postgres', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openEffects();
  });
  after(() => scene.close());

  it('tries what fails again when it is due, and its followers after it, in order, each once', async () => {
    const attempts: number[] = [];
    const partition = aPartition(scene, {
      async handle(event, { attempt, once }) {
        if (event.offset === '0') attempts.push(attempt);
        if (event.offset === '0' && attempt < 3) throw new Error('not yet');
        return labelled(once, (client) => effect(client, partition.place, event));
      },
    });
    await partition.feed(['a', 'a', 'b', 'a', 'b', 'a']);
    await eventually(() => assert.deepEqual(partition.finished.handled?.length, 6));
    assert.deepEqual(attempts, [1, 2, 3]);
    const effects = await partition.effects();
    assert.deepEqual(effects.get('a'), [0, 1, 3, 5]);
    assert.deepEqual(effects.get('b'), [2, 4]);
    assert.deepEqual(await scene.linesOf(partition.place), []);
    await partition.stop();
  });

  it('announces what is given up, keeps its followers, and goes on in order once it is mended', async () => {
    const partition = aPartition(scene, {
      policy: { delaysMs: [5, 5] },
      async handle(event, { once }) {
        if (event.offset === '0' && !isMended) throw new TypeError('a bug');
        return labelled(once, (client) => effect(client, partition.place, event));
      },
    });
    let isMended = false;
    await partition.feed(['a', 'a', 'b', 'a']);
    const letter = await eventually(() => {
      const [first] = partition.letters;
      assert.ok(first);
      return first;
    });
    assert.deepEqual([letter.deaths, letter.error.attempt, letter.error.class], [1, 3, 'TypeError']);
    await eventually(async () => assert.deepEqual([...(await partition.effects())], [['b', [2]]]));
    assert.equal(partition.run.committable(), 4n);
    // One attempt, without the ladder: dead again at once.
    await scene.operate('SELECT status FROM streams.replay_parked(NULL, $1)', [[letter.recordId]]);
    await eventually(() => assert.equal(partition.letters[1]?.deaths, 2));
    assert.equal(partition.letters[1]?.error.attempt, 4);
    isMended = true;
    await scene.operate('SELECT status FROM streams.replay_parked(NULL, $1)', [[letter.recordId]]);
    await eventually(async () => assert.deepEqual((await partition.effects()).get('a'), [0, 1, 3]));
    await partition.stop();
  });

  it('lets followers of a dead head go on where it is skipped', async () => {
    const partition = aPartition(scene, {
      deadHead: 'skip',
      async handle(event, { once }) {
        if (event.offset === '0') throw new PermanentError('refused', 'for good');
        return labelled(once, (client) => effect(client, partition.place, event));
      },
    });
    await partition.feed(['a', 'a', 'a']);
    await eventually(async () => assert.deepEqual((await partition.effects()).get('a'), [1, 2]));
    await eventually(() => assert.equal(partition.letters.length, 1));
    await partition.stop();
  });

  it('claims by itself for a handler that asks for no transaction, in the lane and in the driver', async () => {
    let calls = 0;
    const partition = aPartition(scene, {
      async handle() {
        calls += 1;
        if (calls === 1) throw new Error('once');
        return 'handled';
      },
    });
    await partition.feed(['a', 'b']);
    await eventually(() => assert.equal(partition.finished.handled?.length, 2));
    for (const { event_id } of partition.events)
      assert.equal(await scene.outcomeOf(partition.place, event_id), 'handled');
    await partition.stop();
  });

  it('spends no attempt on a parked record while something is away', async () => {
    const attempts: number[] = [];
    const partition = aPartition(scene, {
      async handle(_event, { attempt }) {
        attempts.push(attempt);
        if (attempts.length === 1) throw new Error('parks it');
        if (attempts.length === 2) throw new UnavailableError('away');
        return 'handled';
      },
    });
    await partition.feed(['a']);
    await eventually(() => assert.deepEqual(attempts, [1, 2, 2]), { withinMs: 20_000 });
    await partition.stop();
  });

  it('parks garbage as dead under its address, for the operator alone, and what is behind it in its key', async () => {
    const partition = aPartition(scene, {
      garbage: new Set(['0']),
      handle: async () => 'handled',
    });
    await partition.feed(['a', 'a', 'b']);
    await eventually(() => assert.equal(partition.letters.length, 1));
    const [letter] = partition.letters;
    assert.ok(letter);
    assert.deepEqual([letter.inbox_id, letter.event_id, letter.tenant_id], ['at:orders.v1/0/0', '', null]);
    const finished = { 'dead-lettered': ['0'], parked: ['1'], handled: ['2'] };
    await eventually(() => assert.deepEqual(partition.finished, finished));
    // It can be read now: both ids are claimed, so that another copy of the event finds it handled.
    partition.garbage.clear();
    await scene.operate('SELECT status FROM streams.replay_parked(NULL, $1)', [[letter.recordId]]);
    await eventually(async () => assert.deepEqual(await scene.linesOf(partition.place), []));
    assert.equal(await scene.outcomeOf(partition.place, letter.inbox_id), 'handled');
    assert.equal(await scene.outcomeOf(partition.place, partition.events[0]?.event_id ?? ''), 'handled');
    await partition.stop();
  });

  it('is over for an owner that is fenced, and goes on with the next, which knows what is parked', async () => {
    const handle: Handle = async (event, { attempt, once }) => {
      if (event.offset === '0' && attempt === 1) throw new Error('parks it');
      return labelled(once, (client) => effect(client, first.place, event));
    };
    const first = aPartition(scene, { handle, policy: { delaysMs: [600_000] } });
    await first.feed(['a', 'a']);
    await eventually(() => assert.deepEqual(first.finished, { parked: ['0', '1'] }));
    const next = aPartition(scene, { handle, place: first.place, events: first.events });
    // From the beginning, as if nothing had been committed.
    await next.feed(['a', 'a', 'a']);
    await eventually(() => assert.equal(first.fenced, 1));
    await eventually(() => assert.deepEqual(next.finished.parked, ['0', '1', '2']));
    const [line] = (
      await scene.admin.query('SELECT id FROM streams.parked_key WHERE group_id = $1', [first.place.group_id])
    ).rows;
    await scene.makeDue(Number(line?.id));
    await eventually(async () => assert.deepEqual((await next.effects()).get('a'), [0, 1, 2]));
    await next.stop();
  });

  it('handles a batch in one transaction with one claim; when it fails, the one that fails is found by halves', async () => {
    const batches: string[][] = [];
    const counted = countStatements(scene.pool);
    const partition = aPartition(scene, {
      batchMax: 100,
      async many(events, { once }) {
        batches.push(events.map(({ offset }) => offset));
        return once(async (client, fresh) => {
          for (const event of events) await effect(client, partition.place, event);
          if (events.some(({ offset }) => offset === '4')) throw new Error('one of them fails');
          return events.map(({ event_id }) => (fresh.has(event_id) ? 'handled' : 'duplicate'));
        });
      },
      async handle(event, { attempt, once }) {
        if (event.offset === '4' && attempt === 1) throw new Error('this one');
        return labelled(once, (client) => effect(client, partition.place, event));
      },
    });
    await partition.feed(['a', 'b', 'c']);
    await eventually(() => assert.equal(partition.finished.handled?.length, 3));
    assert.equal(counted.of('ragline_parking_claim'), 1);
    counted.stop();
    await partition.feed(['a', 'b', 'b', 'c'], 3);
    await eventually(() => assert.equal(partition.finished.handled?.length, 7));
    assert.deepEqual(batches, [
      ['0', '1', '2'],
      ['3', '4', '5', '6'],
      ['3', '4'],
    ]);
    const effects = await partition.effects();
    assert.deepEqual(
      [effects.get('a'), effects.get('b'), effects.get('c')],
      [
        [0, 3],
        [1, 4, 5],
        [2, 6],
      ],
    );
    await partition.stop();
  });

  it('tries heads that are due at once in one transaction, and each by itself when that fails', async () => {
    const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`);
    const together: number[] = [];
    let [isMended, broken] = [false, ''];
    const partition = aPartition(scene, {
      policy: { delaysMs: [] },
      async handle(event, { once }) {
        if (!isMended || event.key === broken) throw new PermanentError('refused', 'not yet');
        return labelled(once, (client) => effect(client, partition.place, event));
      },
      async many(events, { once }) {
        if (!isMended) throw new Error('not yet');
        together.push(events.length);
        return once(async (client, fresh) => {
          for (const event of events) {
            if (event.key === broken) throw new Error('one of them');
            if (fresh.has(event.event_id)) await effect(client, partition.place, event);
          }
          return events.map(() => 'handled');
        });
      },
    });
    const replay = (records: number[]) =>
      scene.operate('SELECT status FROM streams.replay_parked(NULL, $1)', [records]);
    await partition.feed([...keys, ...keys]);
    await eventually(() => assert.equal(partition.letters.length, 30));
    await eventually(async () =>
      assert.ok((await scene.linesOf(partition.place)).every((it) => it.depth === 2)),
    );
    [isMended, broken] = [true, 'key 7'];
    const heads = partition.letters.map(({ recordId }) => recordId);
    assert.deepEqual(new Set(await replay(heads)), new Set(['replaying']));
    await eventually(() => assert.equal(partition.letters.length, 31));
    await eventually(async () => assert.equal((await scene.linesOf(partition.place)).length, 1));
    broken = '';
    // The others are gone.
    assert.equal((await replay(heads)).filter((status) => status === 'replaying').length, 1);
    await eventually(async () => assert.deepEqual(await scene.linesOf(partition.place), []));
    const effects = await partition.effects();
    assert.deepEqual(
      keys.map((key) => effects.get(key)),
      keys.map((_, at) => [at, at + 30]),
    );
    assert.ok(Math.max(...together) > 1);
    await partition.stop();
  });

  it('keeps what came while its key waits out of batches', async () => {
    const batches: string[][] = [];
    const partition = aPartition(scene, {
      batchMax: 100,
      policy: { delaysMs: [600_000] },
      async many(events, { once }) {
        batches.push(events.map(({ offset }) => offset));
        if (batches.length === 1) throw new Error('one by one');
        return once(async () => events.map(() => 'handled'));
      },
      async handle() {
        throw new Error('parks it');
      },
    });
    await partition.feed(['a']);
    await eventually(() => assert.deepEqual(partition.finished.parked, ['0']));
    await partition.feed(['a', 'b', 'a'], 1);
    await eventually(() => assert.equal(partition.run.committable(), 4n));
    assert.deepEqual(
      [batches, partition.finished],
      [[['0'], ['2']], { parked: ['0', '1', '3'], handled: ['2'] }],
    );
    await partition.stop();
  });

  it('gives healthy keys no statement more, whatever is parked beside them', async () => {
    const count = 1_000;
    const keys = Array.from({ length: count }, (_, at) =>
      at % 100 === 50 ? `poison ${at}` : `key ${at % 90}`,
    );
    const counted = countStatements(scene.pool);
    const steps: Record<string, number> = {};
    const partition = aPartition(scene, {
      store: countSteps(scene.store, steps),
      policy: { delaysMs: [600_000] },
      async handle({ key }, { once }) {
        if (key.startsWith('poison')) throw new Error('poisoned');
        return labelled(once, async () => {});
      },
    });
    await partition.feed(keys);
    await eventually(() => assert.equal(partition.run.committable(), BigInt(count)), { withinMs: 40_000 });
    await partition.stop();
    counted.stop();
    // BEGIN, the claim that is also the fence, COMMIT.
    assert.equal(counted.of('ragline_parking_claim'), count - 10);
    assert.deepEqual([steps.handle, steps.park, steps.append], [count - 10, 10, undefined]);
    const { look = 0, assign = 0, due = 0 } = steps;
    const ofHandling = 3 * (count - 10);
    assert.equal(counted.all() - look - assign - due, ofHandling + 10);
  });
});

function countSteps(store: ParkingStore, steps: Record<string, number>): ParkingStore {
  const count = (name: string) => {
    steps[name] = (steps[name] ?? 0) + 1;
  };
  return new Proxy(store, {
    get(target, name, receiver) {
      count(String(name));
      return Reflect.get(target, name, receiver);
    },
  });
}

/** What is sent to Postgres over the pool's connections. */
function countStatements(pool: pg.Pool) {
  const counts = new Map<string, number>();
  const watched = new Set<pg.PoolClient>();
  const watch = (client: pg.PoolClient) => {
    if (watched.has(client)) return;
    watched.add(client);
    const query = client.query;
    Reflect.set(client, 'query', (...args: unknown[]) => {
      const [first] = args;
      const name =
        typeof first === 'object' && first !== null && 'name' in first ? String(first.name) : String(first);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return Reflect.apply(query, client, args);
    });
  };
  pool.on('acquire', watch);
  return {
    of: (name: string) => counts.get(name) ?? 0,
    all: () => [...counts.values()].reduce((sum, one) => sum + one, 0),
    stop: () => void pool.off('acquire', watch),
  };
}
