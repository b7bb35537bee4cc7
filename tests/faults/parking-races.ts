/**
 * Parking's races on a real Postgres, without Kafka and so much faster than it: owners of one partition follow each
 * other every few hundred milliseconds and overlap, connections are cut in the middle, and people mend meanwhile.
 */
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '@ragline/streams/clock';
import { createParking, defaultCaps } from '@ragline/streams/parking/owner';
import { openParking } from '@ragline/streams/parking/testing';
import { createRandom } from '@ragline/streams/parking-model/random';
import { createPartitionRun, type PartitionRun } from '@ragline/streams/partition';
import { type ConsumedRecord, textHeaders } from '@ragline/streams/record';
import { createSlots } from '@ragline/streams/slots';
import type { Work } from '@ragline/streams/task';
import { eventually } from '../support/eventually.ts';
import { createDesk } from './parking-desk.ts';
import { createLedger, effectsIn, type Verdict } from './parking-ledger.ts';
import { temperOf } from './parking-temper.ts';

export type RacesReport = {
  verdict: Verdict;
  owners: number;
  fenced: number;
  cut: number;
  decisions: Record<string, number>;
  committed: number;
  leftBehind: number;
};

type Event = { event_id: string; key: string; version: number };

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const keys = Array.from({ length: 16 }, (_, at) => `key ${at}`);

export async function runRaces({
  seed,
  disturbMs,
}: {
  seed: number;
  disturbMs: number;
}): Promise<RacesReport> {
  const random = createRandom(seed);
  const scene = await openParking({ connections: 30 });
  const { admin, operators, store } = scene;
  const place = scene.place();
  const ledger = createLedger();
  const log: ConsumedRecord[] = [];
  const announced = new Set<number>();
  const counts = { owners: 0, fenced: 0, cut: 0 };
  const runs = new Set<PartitionRun>();
  let current: PartitionRun | undefined;
  let committed = 0;

  await admin.query(`CREATE SCHEMA faults; GRANT USAGE ON SCHEMA faults TO ragline_notifications;
    CREATE TABLE faults.effect (id bigint GENERATED ALWAYS AS IDENTITY, key text, version int, event_id text);
    GRANT INSERT ON faults.effect TO ragline_notifications`);

  const work: Work<Event> = {
    admit({ headers, value }) {
      const { key, version } = JSON.parse(String(value));
      return { event_id: textHeaders(headers).id ?? '', key, version };
    },
    identityOf: ({ event_id }) => ({ event_id, tenant_id: '' }),
    many: undefined,
    async one({ event_id, key, version }, { attempt, once }) {
      const temper = temperOf(event_id);
      if (temper.failsBefore(attempt)) throw new Error('failed before its effect');
      await once(async (client) => {
        const values = [key, version, event_id];
        await client.query('INSERT INTO faults.effect (key, version, event_id) VALUES ($1, $2, $3)', values);
        if (temper.effectMs > 4) await client.query('SELECT pg_sleep($1)', [temper.effectMs / 1_000]);
        if (temper.failsInside(attempt)) throw new Error('failed inside its effect');
      });
      return 'handled';
    },
  };

  function startOwner(): void {
    counts.owners += 1;
    const onFenced = () => {
      counts.fenced += 1;
      run.end();
      run.abort();
      // A zombie has raised the lease of the one whose partition it is.
      if (run === current) startOwner();
    };
    const slots = createSlots(6);
    const policy = {
      delaysMs: [40, 90, 200],
      jitterMs: 5,
      whenExhausted: 'dead-letter',
      routes: {},
    } as const;
    const shared = { work, slots, policy, log: quiet, random: Math.random, clock: systemClock, onFenced };
    const aside = createParking<Event>({
      ...shared,
      place,
      owner: `owner ${counts.owners}`,
      store,
      deadHead: 'wait',
      caps: defaultCaps,
      announce: async (_, { recordId }) => void announced.add(recordId),
      onFinished: () => {},
    });
    const { topic, partition } = place;
    const own = { topic, partition, order: 'by-key', batchMax: 10 } as const;
    const run = createPartitionRun<Event>({ ...shared, ...own, aside, onFinished() {}, onFetching() {} });
    runs.add(run);
    current = run;
    run.begin();
    void feed(run, committed);
  }

  /** Records from the committed offset on, for as long as the run is kept. */
  async function feed(run: PartitionRun, from: number): Promise<void> {
    for (let fed = from; runs.has(run); ) {
      const next = log.length;
      if (next > fed) run.add(log.slice(fed, next), BigInt(fed), BigInt(next));
      fed = next;
      await pause(10);
      // Kafka takes commits of the owner of the day alone.
      if (run === current) committed = Number(run.committable() ?? committed);
    }
  }

  function drop(run: PartitionRun): void {
    run.end();
    run.abort();
    runs.delete(run);
  }

  const encodeAs = (key: string, version: number) => Buffer.from(JSON.stringify({ key, version }));
  const deskOptions = { groupId: place.group_id, topic: place.topic, operators, admin, ledger };
  const desk = createDesk({ ...deskOptions, encodeAs, random: random.next });
  const until = Date.now() + disturbMs;
  const meanwhile = async (everyMs: number, act: () => Promise<void> | void) => {
    while (Date.now() < until) {
      await act();
      await pause(random.int(2 * everyMs));
    }
  };

  try {
    const versions = new Map<string, number>();
    startOwner();
    await Promise.all([
      meanwhile(10, () => {
        const key = random.pick(keys);
        const version = (versions.get(key) ?? 0) + 1;
        versions.set(key, version);
        const id = randomUUIDv7();
        ledger.produced(key, version, id);
        const bytes = { key: Buffer.from(key), value: encodeAs(key, version), headers: { id } };
        const { topic, partition } = place;
        log.push({ topic, partition, offset: String(log.length), timestamp: Date.now(), ...bytes });
      }),
      meanwhile(250, () => {
        const before = [...runs];
        startOwner();
        // They hear of it late, and overlap.
        for (const run of before) setTimeout(() => drop(run), random.int(400));
      }),
      meanwhile(120, async () => {
        const { rowCount } = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = 'ragline_notifications' ORDER BY random() LIMIT 1`,
        );
        counts.cut += rowCount ?? 0;
      }),
      meanwhile(30, desk.meddle),
    ]);
    await eventually(
      async () => {
        const parked = await desk.mend(announced);
        return parked === 0 && committed === log.length;
      },
      { withinMs: 30_000, everyMs: 100 },
    ).catch(() => {});
    const verdict = ledger.judge(await effectsIn(admin));
    const { rows } = await admin.query<{ left: number }>(
      'SELECT (SELECT count(*) FROM streams.parked_record)::int + (SELECT count(*) FROM streams.parked_key)::int AS left',
    );
    const leftBehind = rows[0]?.left ?? -1;
    return { verdict, ...counts, decisions: desk.counts, committed: committed - log.length, leftBehind };
  } finally {
    const all = [...runs];
    for (const run of all) drop(run);
    await pause(450);
    await Promise.all(all.map((run) => run.settled()));
    await scene.close();
  }
}
