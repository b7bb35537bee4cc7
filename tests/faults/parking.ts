/**
 * Parking on the real Kafka and Postgres: two processes of a group that fail on some records, are killed and frozen
 * under load, and people who mend meanwhile. Afterwards everything is mended, and what took effect is judged.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { anOrderEvent } from '@ragline/schemas/samples';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import { createRandom } from '@ragline/streams/parking-model/random';
import { openScene } from '@ragline/streams/testing';
import pg from 'pg';
import { eventually } from '../support/eventually.ts';
import { stack } from '../support/stack.ts';
import { createDesk } from './parking-desk.ts';
import { createLedger, effectsIn, type Verdict } from './parking-ledger.ts';

export type ParkingReport = {
  verdict: Verdict;
  disturbances: { kills: number; freezes: number };
  decisions: Record<string, number>;
  /** Letters on `<group>.dlq`, and the records that they are about. */
  letters: number;
  dead: number;
  /** Rows that are left where none should be. */
  leftBehind: number;
};

type Options = { seed: number; disturbMs: number; keys?: number; eventsPerSecond?: number; settleMs: number };

export async function runParking(options: Options): Promise<ParkingReport> {
  const { seed, disturbMs, keys = 24, eventsPerSecond = 30, settleMs } = options;
  const random = createRandom(seed);
  const scene = await openScene({ partitions: 4 });
  const database = await scratchDatabase();
  const admin = new pg.Pool({ connectionString: database.url, max: 4 });
  const operators = poolOf('ragline_dead_letters', 2, database.name);
  const consumerUrl = new URL(stack().databaseUrlOf('ragline_notifications'));
  consumerUrl.pathname = `/${database.name}`;
  const members = createMembers([scene.groupId, scene.topic, consumerUrl.href]);
  const letters = await readLetters(scene, deadLetterTopicOf(scene.groupId));
  try {
    await admin.query(`CREATE SCHEMA faults; GRANT USAGE ON SCHEMA faults TO ragline_notifications;
      CREATE TABLE faults.effect (id bigint GENERATED ALWAYS AS IDENTITY, key text, version int, event_id text, pid int);
      GRANT INSERT ON faults.effect TO ragline_notifications`);
    const ledger = createLedger();
    const orders = Array.from({ length: keys }, () => anOrderEvent({}));
    const eventOf = (key: string, version: number, eventId: string) => {
      const order = orders.find(({ order: { id } }) => id === key);
      if (order === undefined) throw new Error(`There is no order ${key}`);
      return { ...order, event_id: eventId, order: { ...order.order, version } };
    };
    const encodeAs = (key: string, version: number, eventId: string) =>
      scene.encode(eventOf(key, version, eventId));
    const { groupId, topic } = scene;
    const desk = createDesk({ groupId, topic, operators, admin, ledger, encodeAs, random: random.next });
    const disturbances = { kills: 0, freezes: 0 };
    const until = Date.now() + disturbMs;

    async function produce(): Promise<void> {
      const versions = new Map<string, number>();
      const batch = Math.max(1, Math.round(eventsPerSecond / 10));
      while (Date.now() < until) {
        const records = Array.from({ length: batch }, () => {
          const key = random.pick(orders).order.id;
          const version = (versions.get(key) ?? 0) + 1;
          versions.set(key, version);
          const eventId = randomUUIDv7();
          ledger.produced(key, version, eventId);
          const { tenant_id, user_id, event_type } = eventOf(key, version, eventId);
          return {
            key,
            value: encodeAs(key, version, eventId),
            headers: { id: eventId, tenant_id, user_id, event_type },
          };
        });
        await scene.producer.send(topic, records);
        await pause(100);
      }
    }
    async function killSome(): Promise<void> {
      while (Date.now() < until) {
        await pause(4_000 + random.int(6_000));
        disturbances.kills += 1;
        await members.kill(random.pick(members.all()));
        await members.start();
      }
    }
    async function freezeSome(): Promise<void> {
      while (Date.now() < until) {
        await pause(1_000 + random.int(3_000));
        disturbances.freezes += 1;
        const member = random.pick(members.all());
        member.kill('SIGSTOP');
        // Mostly longer than the group waits for it; some wake before anybody has noticed.
        await pause(random.chance(0.7) ? 8_500 + random.int(4_000) : 500 + random.int(4_000));
        member.kill('SIGCONT');
      }
    }
    async function meddle(): Promise<void> {
      while (Date.now() < until) {
        await desk.meddle();
        await pause(random.int(150));
      }
    }

    await Promise.all([members.start(), members.start()]);
    await Promise.all([produce(), killSome(), freezeSome(), meddle()]);
    // From here on nobody is disturbed, and people work through the letters alone.
    await eventually(
      async () => {
        const parked = await desk.mend(letters.announced);
        if (parked > 0) return false;
        const made = new Set((await effectsIn(admin)).map(({ key, version }) => `${key}/${version}`));
        return made.size >= ledger.owed();
      },
      { withinMs: settleMs, everyMs: 300 },
    ).catch(() => {});
    const verdict = ledger.judge(await effectsIn(admin));
    const { rows } = await admin.query<{ left: number }>(
      'SELECT (SELECT count(*) FROM streams.parked_record)::int + (SELECT count(*) FROM streams.parked_key)::int AS left',
    );
    const leftBehind = rows[0]?.left ?? -1;
    const told = { letters: letters.count(), dead: letters.announced.size };
    return { verdict, disturbances, decisions: desk.counts, ...told, leftBehind };
  } finally {
    await members.end();
    await letters.stop();
    await operators.end();
    await admin.end();
    await scene.close();
    await database.drop();
  }
}

function createMembers(args: string[]) {
  const children = new Set<ChildProcess>();
  const gone = async (child: ChildProcess) => {
    const exit = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await exit;
    children.delete(child);
  };
  return {
    all: () => [...children],
    async start(): Promise<void> {
      const child = fork(new URL('./parking-process.ts', import.meta.url), args, { execArgv: [] });
      children.add(child);
      // It may be killed before it is ready, which is as good.
      await Promise.race([once(child, 'message'), once(child, 'exit')]);
    },
    kill: gone,
    async end(): Promise<void> {
      await Promise.all([...children].map(gone));
    },
  };
}

/** Which parked records the group has told of. */
async function readLetters(scene: Awaited<ReturnType<typeof openScene>>, topic: string) {
  const announced = new Set<number>();
  let letters = 0;
  const consumer = scene.kafka.consumer({ groupId: `${scene.groupId}-letters` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    async eachMessage({ message: { headers } }) {
      letters += 1;
      announced.add(Number(headers?.['parked-record']));
    },
  });
  return { announced, count: () => letters, stop: () => consumer.disconnect() };
}
