/** A partition with parking on a real Postgres, fed by hand, its delays a few milliseconds. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { defaultPolicy, type RetryPolicy } from '../after-failure.ts';
import { systemClock } from '../clock.ts';
import { PermanentError } from '../errors.ts';
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
export type Event = { event_id: string; tenant_id: string; key: string; offset: string };
export type Handle = (event: Event, attempt: Attempt) => Promise<string>;

/** A database with a table for effects. */
export async function openEffects(): Promise<ParkingScene> {
  const scene = await openParking({ connections: 20 });
  await scene.admin.query('CREATE TABLE effect (id bigserial, place text, key text, "offset" bigint)');
  await scene.admin.query(
    'GRANT ALL ON effect TO ragline_notifications; GRANT ALL ON effect_id_seq TO ragline_notifications',
  );
  return scene;
}

export function aPartition(
  scene: ParkingScene,
  options: {
    handle: Handle;
    many?: Work<Event>['many'];
    batchMax?: number;
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
    many: options.many,
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
    ...{ topic, partition, order: 'by-key', work, aside, onFinished, onFenced },
    batchMax: options.batchMax ?? 1,
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
    /** Adds a record of each key, the first one at that offset. */
    async feed(keys: readonly string[], from = 0): Promise<void> {
      const records = keys.map((key, index) => {
        const at = from + index;
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
      run.add(records, BigInt(from), BigInt(from + records.length));
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

/** What a handler says of a record that it has handled now, or before. */
export async function labelled(
  once: Attempt['once'],
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<string> {
  const done = await once(async (client) => {
    await work(client);
    return true;
  });
  return done ? 'handled' : 'duplicate';
}

export async function effect(client: pg.PoolClient, place: Place, { key, offset }: Event): Promise<void> {
  await client.query('INSERT INTO effect (place, key, "offset") VALUES ($1, $2, $3)', [
    place.group_id,
    key,
    offset,
  ]);
}
