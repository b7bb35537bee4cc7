import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import type pg from 'pg';
import { defaultPolicy } from './after-failure.ts';
import { systemClock } from './clock.ts';
import { consumerMetrics } from './consumer-metrics.ts';
import { createParking, defaultCaps } from './parking/owner.ts';
import { Fenced, type Head, type ParkingStore } from './parking/store.ts';
import type { ConsumedRecord } from './record.ts';
import type { FloodLimits } from './retry/flood-guard.ts';
import { replayTopicOf, tierTopicOf } from './retry/names.ts';
import { createRunParts, type RunPartsOptions } from './run-parts.ts';
import { createSlots } from './slots.ts';
import { newTask, type Work } from './task.ts';

describe('a partition whose parked record ended the last process', () => {
  it('counts the record before its driver starts it', async () => {
    const scene = aScene();
    await scene.aside.open();
    scene.aside.begin?.();
    await scene.said('handler');
    assert.deepEqual(scene.told, ['lease 1', 'begin_run', 'bounds', 'start_record', 'handler']);
    await scene.close();
  });

  it('gives it up in place of a fourth start, and clears its count once that is stored', async () => {
    const scene = aScene({ starts: 3 });
    await scene.aside.open();
    scene.aside.begin?.();
    await scene.said('finish_record');
    assert.deepEqual(scene.told, ['lease 1', 'begin_run', 'bounds', 'dead crashed', 'finish_record']);
    await scene.close();
  });

  it('acquires the partition once, however often its run cannot be noted', async () => {
    const scene = aScene({ refusals: 2 });
    await assert.rejects(scene.aside.open(), /connection reset/);
    await assert.rejects(scene.aside.open(), /connection reset/);
    await scene.aside.open();
    scene.aside.begin?.();
    await scene.said('handler');
    assert.equal(scene.told.filter((it) => it.startsWith('lease')).length, 1);
    assert.ok(!scene.told.includes('fenced'));
    await scene.close();
  });

  it('notes no run when it is taken away while it is acquired', async () => {
    const gate = Promise.withResolvers<void>();
    const scene = aScene({ gate: gate.promise });
    const opening = scene.aside.open();
    scene.aside.end?.();
    await scene.aside.close();
    gate.resolve();
    await opening;
    scene.aside.begin?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(scene.told, ['lease 1']);
  });
});

describe('what waits aside, beside the flood guard', () => {
  const tenants = ['a', 'b', 'c'];
  const floodGuard = { share: 0.5, windowMs: 60_000, least: 10 };

  it('is tried by the driver whatever fails, and fails without stopping the group', async () => {
    const scene = aScene({ floodGuard });
    for (let at = 0; at < 100; at += 1) await assert.rejects(scene.tryParked(at, tenants[at % 3] ?? ''));
    assert.equal(scene.isFlooded(), false);
    const flood = scene.parts.flood ?? assert.fail('first attempts are guarded');
    const tasks = Array.from({ length: 10 }, (_, at) =>
      newTask<ConsumedRecord>(aRecord(at, tenants[at % 3] ?? ''), 0),
    );
    for (const task of tasks) flood.judge(task, new Error('a bad release'));
    assert.equal(scene.isFlooded(), true);
    await assert.rejects(scene.tryParked(7, 'a'), /a bad record/);
  });

  it('is tried in tiers and on the replay topic whatever fails', () => {
    const { partsOf } = createRunParts<ConsumedRecord>({
      ...aGroup(),
      options: { floodGuard },
      order: 'none',
    });
    const guarded = ['orders.v1', tierTopicOf('test', 60_000), replayTopicOf('test')].map(
      (topic) => partsOf({ topic, partition: 0 }, () => {}).flood !== undefined,
    );
    assert.deepEqual(guarded, [true, false, false]);
  });
});

function aRecord(offset: number, tenant_id: string): ConsumedRecord {
  const headers = { tenant_id: Buffer.from(tenant_id) };
  return {
    topic: 'orders.v1',
    partition: 0,
    offset: String(offset),
    key: null,
    value: null,
    headers,
    timestamp: 0,
  };
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const unused = async () => assert.fail('not used');

/** A group whose every record fails, and whose Kafka has nothing. */
function aGroup(): Omit<RunPartsOptions<ConsumedRecord>, 'options' | 'order'> {
  return {
    ...{ groupId: 'test', log: quiet, parkingOf: undefined },
    shown: consumerMetrics(createMetrics({ service: 'test' }), 'test'),
    producer: { send: unused, stop: async () => {} },
    offsets: { committed: async () => new Map(), ends: async () => undefined, stop: async () => {} },
    work: {
      admit: (record) => record,
      identityOf: () => undefined,
      many: undefined,
      async one() {
        throw new Error('a bad record');
      },
    },
  };
}

/** One parked record, at offset 5; what is asked of Postgres and Kafka, in its order. */
type SceneOptions = {
  starts?: number;
  refusals?: number;
  gate?: Promise<void>;
  /** With one, every record fails. */
  floodGuard?: FloodLimits;
};

function aScene({ starts = 0, refusals = 0, gate = Promise.resolve(), floodGuard }: SceneOptions = {}) {
  const told: string[] = [];
  const waiters = new Map<string, () => void>();
  const say = (what: string) => {
    told.push(what);
    waiters.get(what)?.();
  };
  let epoch = 0;
  let begins = 0;
  let isDone = false;
  const place = { topic: 'orders.v1', partition: 0 };

  const head: Head = {
    ...{ offset: '5', key: Buffer.from('a'), value: Buffer.from('x'), headers: {}, timestamp: 0 },
    ...{ tenant_id: null, event_id: 'e', inbox_id: 'e', recordId: 1, lineId: 1, detached: false },
    ...{ attempt: 1, deaths: 1, notBefore: 0, firstFailedAt: 0 },
  };
  const store: ParkingStore = {
    async assign(group) {
      epoch += 1;
      say(`lease ${epoch}`);
      await gate;
      return { lease: { place: group, epoch }, parked: new Map([['a', 1]]) };
    },
    async look(lease) {
      if (lease.epoch !== epoch) throw new Fenced('another epoch');
      return { due: !isDone, letters: false };
    },
    due: async () => (isDone ? [] : [head]),
    async fail(_, __, verdict) {
      isDone = true;
      say(verdict.kind === 'again' ? 'again' : `${verdict.kind} ${verdict.error.code}`);
      return 'booked';
    },
    ...{ handle: unused, park: unused, append: unused, attempt: unused, attemptAll: unused },
    ...{ unannounced: async () => [], announced: async () => {} },
  };
  const query = async ({ name }: { name: string }) => {
    if (name === 'ragline_begin_run') {
      begins += 1;
      if (begins <= refusals) throw new Error('connection reset');
      say('begin_run');
      return { rows: [{ unclean: 1, offsets: starts > 0 ? ['5'] : [], starts: starts > 0 ? [starts] : [] }] };
    }
    say(name.replace('ragline_', ''));
    return { rows: [] };
  };
  const pool = { query } as unknown as pg.Pool;
  const handling = Promise.withResolvers<string>();
  // In some scenes nobody waits for it.
  handling.promise.catch(() => {});

  let tried: Work<ConsumedRecord> | undefined;
  const group = aGroup();
  const { partsOf, isFlooded } = createRunParts<ConsumedRecord>({
    ...group,
    options: { pool: floodGuard ? undefined : pool, floodGuard: floodGuard ?? false },
    order: 'by-key',
    offsets: {
      async committed() {
        // Kafka takes its time; a driver would not wait for it.
        for (let turn = 0; turn < 20; turn++) await turnOfTheLoop();
        say('bounds');
        return new Map([[0, 10n]]);
      },
      ends: async () => new Map([[0, 10n]]),
      stop: async () => {},
    },
    work: floodGuard
      ? group.work
      : {
          ...group.work,
          async one() {
            isDone = true;
            say('handler');
            return handling.promise;
          },
        },
    parkingOf: (at, work, _, onFenced, onSettled) => {
      tried = work;
      return createParking<ConsumedRecord>({
        place: { group_id: 'test', ...at },
        ...{ owner: 'test', store, work, slots: createSlots(2), policy: defaultPolicy, deadHead: 'wait' },
        ...{ caps: defaultCaps, clock: systemClock, random: () => 0.5, announce: unused, log: quiet },
        onFinished: onSettled,
        onFenced,
      });
    },
  });
  const parts = partsOf(place, () => say('fenced'));
  const { aside } = parts;

  return {
    aside,
    told,
    parts,
    isFlooded,
    /** As the driver does it. */
    async tryParked(offset: number, tenant: string) {
      const { signal } = new AbortController();
      return tried?.one(aRecord(offset, tenant), { signal, attempt: 2, once: unused, onceBatch: unused });
    },
    /** Resolves when it is said. */
    async said(what: string): Promise<void> {
      if (told.includes(what)) return;
      await new Promise<void>((resolve) => void waiters.set(what, resolve));
    },
    async close() {
      aside.end?.();
      aside.abort?.();
      handling.reject(new Error('the scene is over'));
      await aside.close();
    },
  };
}

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));
