import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import type pg from 'pg';
import { eventually } from '../../../../tests/support/eventually.ts';
import { defaultPolicy, type RetryPolicy } from '../after-failure.ts';
import { systemClock } from '../clock.ts';
import { PermanentError, UnavailableError } from '../errors.ts';
import { createPartitionRun } from '../partition.ts';
import type { ConsumedRecord } from '../record.ts';
import { createSlots } from '../slots.ts';
import type { Attempt, Work } from '../task.ts';
import type { DeadHead } from './decide.ts';
import { createParking, defaultCaps } from './owner.ts';
import type { Letter, ParkingStore, Place } from './store.ts';
import { openParking, type ParkingScene } from './testing.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** An event of the test's own: its key, and what its handler is to do. */
type Event = { event_id: string; tenant_id: string; key: string; offset: string };
type Handle = (event: Event, attempt: Attempt) => Promise<string>;

describe('a partition with parking on Postgres', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking({ connections: 20 });
    await scene.admin.query('CREATE TABLE effect (id bigserial, place text, key text, "offset" bigint)');
    await scene.admin.query(
      'GRANT ALL ON effect TO ragline_notifications; GRANT ALL ON effect_id_seq TO ragline_notifications',
    );
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
    assert.deepEqual(partition.finished, { 'dead-lettered': ['0'], parked: ['1'], handled: ['2'] });
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

/** A run of a partition with parking, fed by hand, its delays a few milliseconds. */
function aPartition(
  scene: ParkingScene,
  options: {
    handle: Handle;
    policy?: Partial<RetryPolicy>;
    deadHead?: DeadHead;
    garbage?: Set<string>;
    place?: Place;
    events?: Event[];
    store?: ParkingStore;
  },
) {
  const place = options.place ?? scene.place();
  const events = options.events ?? [];
  const garbage = options.garbage ?? new Set<string>();
  const letters: Letter[] = [];
  const finished: Record<string, string[]> = {};
  const state = { fenced: 0 };
  const policy = { ...defaultPolicy, delaysMs: [5, 5, 5], jitterMs: 0, ...options.policy };
  const slots = createSlots(8);
  const { topic, partition } = place;
  const common = { slots, policy, random: () => 0, log: quiet, clock: systemClock };
  const work: Work<Event> = {
    admit({ offset }) {
      const event = events[Number(offset)];
      if (event === undefined || garbage.has(offset)) throw new PermanentError('malformed_avro', 'garbage');
      return event;
    },
    identityOf: ({ event_id, tenant_id }) => ({ event_id, tenant_id }),
    one: options.handle,
    many: undefined,
  };
  const onFinished = ({ record }: { record: ConsumedRecord }, outcome: string) => {
    finished[outcome] = [...(finished[outcome] ?? []), record.offset];
  };
  const onFenced = () => {
    if (state.fenced > 0) return;
    state.fenced = 1;
    run.end();
    run.abort();
  };
  const aside = createParking<Event>({
    ...common,
    place,
    owner: 'test',
    store: options.store ?? scene.store,
    work,
    deadHead: options.deadHead ?? 'wait',
    caps: defaultCaps,
    announce: async (_, letter) => void letters.push(letter),
    onFinished,
    onFenced,
  });
  const run = createPartitionRun<Event>({
    ...common,
    ...{ topic, partition, order: 'by-key', work, aside, onFinished, onFenced, batchMax: 1 },
    onFetching() {},
  });
  run.begin();

  return Object.assign(state, {
    place,
    run,
    events,
    garbage,
    letters,
    finished,
    /** Adds a record of each key, from offset 0. */
    async feed(keys: readonly string[]): Promise<void> {
      const records = keys.map((key, at) => {
        events[at] ??= { event_id: randomUUID(), tenant_id: randomUUID(), key, offset: String(at) };
        const value = Buffer.from(String(at));
        return {
          topic,
          partition,
          offset: String(at),
          key: Buffer.from(key),
          value,
          headers: {},
          timestamp: 0,
        };
      });
      run.add(records, 0n, BigInt(records.length));
    },
    /** Offsets in the order of their effects, by key. */
    async effects(): Promise<Map<string, number[]>> {
      const { rows } = await scene.admin.query<{ key: string; offset: string }>(
        'SELECT key, "offset" FROM effect WHERE place = $1 ORDER BY id',
        [place.group_id],
      );
      const byKey = new Map<string, number[]>();
      for (const { key, offset } of rows) byKey.set(key, [...(byKey.get(key) ?? []), Number(offset)]);
      return byKey;
    },
    async stop(): Promise<void> {
      run.end();
      await run.settled();
    },
  });
}

async function labelled(
  once: Attempt['once'],
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<string> {
  const done = await once(async (client) => {
    await work(client);
    return true;
  });
  return done ? 'handled' : 'duplicate';
}

async function effect(client: pg.PoolClient, place: Place, { key, offset }: Event): Promise<void> {
  await client.query('INSERT INTO effect (place, key, "offset") VALUES ($1, $2, $3)', [
    place.group_id,
    key,
    offset,
  ]);
}

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
