/** Erases a person, from the outside in: first nothing new can come, then what is there goes, and the account last. */
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '@ragline/postgres/pool';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { Kafka } from '@ragline/streams/kafka-client';
import { createReplayReader } from '@ragline/streams/replay';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { Admin } from 'kafkajs';
import { withAdmin } from '../parts/kafka.ts';
import { eraseCaches } from './caches.ts';
import { cutRecords, type Remaining } from './cut.ts';
import { judgeOf, kindOf } from './judge.ts';
import { lockOut, type Person } from './person.ts';
import { findRecords, type Hit, hasArrived } from './records.ts';
import {
  type Counts,
  eraseFailed,
  eraseRows,
  keysOf,
  knownToOutboxes,
  type Marks,
  stopTurns,
  sumOf,
} from './rows.ts';
import { findTexts, remainingOf } from './search.ts';

export type EraseParts = {
  pool: Pool;
  codec: Codec;
  kafka: Kafka;
  access: KafkaAccess;
  redisUrl: string | undefined;
  /** Told before each step. */
  say(step: string): void;
};

export type EraseOptions = {
  /** Beside the address, what names the person. */
  texts: readonly string[];
  /** Topics that may be cut although others' events go with it. */
  cut: readonly string[];
  dryRun: boolean;
};

/** `toDecide`: the tenant's own texts that name the person, which nobody removes but the tenant. */
export type Erased = {
  id: string;
  user_id: string;
  dry_run: boolean;
  counts: Counts;
  remaining: Remaining[];
  to_decide: Remaining[];
};

const turnsEndWithinMs = 30_000;
const arrivesWithinMs = 30_000;

/** May be called again after it died anywhere: each step finds what is left, and the audit has both calls. */
export async function erase(parts: EraseParts, person: Person, options: EraseOptions): Promise<Erased> {
  const { access } = parts;
  const client = createTailClient({ kafka: access, clientId: 'ragline-erase' });
  const reader = createReplayReader({
    client: createTailClient({ kafka: access, clientId: 'ragline-erase-reader' }),
  });
  try {
    return await withAdmin(parts.kafka, (admin) => run({ ...parts, admin, client, reader }, person, options));
  } finally {
    await reader.stop();
    await client.close();
  }
}

type RunParts = EraseParts & {
  admin: Admin;
  client: ReturnType<typeof createTailClient>;
  reader: ReturnType<typeof createReplayReader>;
};

async function run(parts: RunParts, person: Person, options: EraseOptions): Promise<Erased> {
  const { pool, say, admin } = parts;
  const id = randomUUIDv7();
  const texts = [...(person.email === null ? [] : [person.email]), ...options.texts];
  const marks = async (): Promise<Marks> => ({ texts, keys: await keysOf(pool, person) });
  if (options.dryRun) return look(parts, person, await marks(), id);

  await audit(pool, person, id, 'begun', {}, []);
  const remaining: Remaining[] = person.email === null ? [] : await close(parts, person);
  say('stopping answers');
  await untilStopped(pool, person);

  const { keys } = await marks();
  say('discarding what failed');
  const failed = await eraseFailed(pool, person, { texts, keys });
  say('reading all topics');
  const hits = await find(parts, person, { texts, keys });
  const { cut, remaining: uncut } = await cutRecords({ admin, pool, hits, named: options.cut });
  remaining.push(...uncut);
  // Letters that have come of records since, which the cut has waited for.
  const failedSince = await eraseFailed(pool, person, { texts, keys });
  say('removing rows');
  const caches: Counts =
    parts.redisUrl === undefined ? {} : { caches: await eraseCaches(parts.redisUrl, person) };
  const rows = await eraseRows(pool, person, { texts, keys });

  say('searching for what is left');
  const counts = sumOf(failed, failedSince, { kafka: { records: cut } }, caches, rows);
  if (failedSince.streams?.busy) {
    const why = 'somebody has hold of a parked record: run this again';
    remaining.push({ where: 'streams.parked_record', why });
  }
  const left = remainingOf(await findTexts(pool, texts));
  remaining.push(...left.remaining);
  delete counts.streams?.busy;
  await audit(pool, person, id, 'done', counts, remaining);
  return { id, user_id: person.user_id, dry_run: false, counts, remaining, to_decide: left.toDecide };
}

/** Nothing new comes of the person from here on. */
async function close(parts: RunParts, person: Person): Promise<Remaining[]> {
  parts.say('locking the account');
  const event = await lockOut(parts.pool, parts.codec, person);
  if (await hasArrived(parts, topics.revocations.name, event, arrivesWithinMs)) return [];
  const why =
    'events do not reach Kafka, so tokens are good for up to 15 min: mend that, then run this again';
  return [{ where: topics.revocations.name, why }];
}

/** What would go: the same functions, in a transaction that is taken back. */
async function look(parts: RunParts, person: Person, marks: Marks, id: string): Promise<Erased> {
  const { pool, say } = parts;
  say('counting');
  const hits = await find(parts, person, marks);
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const failed = await eraseFailed(client, person, marks);
    const rows = await eraseRows(client, person, marks);
    const records = hits.reduce((sum, hit) => sum + hit.records, 0);
    const counts = sumOf(failed, { kafka: { records } }, rows);
    delete counts.streams?.busy;
    return { id, user_id: person.user_id, dry_run: true, counts, remaining: [], to_decide: [] };
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

async function find({ admin, client, reader, pool }: RunParts, person: Person, marks: Marks): Promise<Hit[]> {
  const names = (await admin.listTopics()).filter((name) => !isInternal(name));
  return findRecords({
    ...{ client, reader },
    // What may grow while it is read comes last.
    topics: names.sort(
      (a, b) => Number(kindOf(a) === 'log') - Number(kindOf(b) === 'log') || (a < b ? -1 : 1),
    ),
    judge: judgeOf(person.user_id, marks.keys, marks.texts),
    isKnown: (ids) => knownToOutboxes(pool, ids),
  });
}

/** Kafka's own, and Connect's: offsets and settings. */
const isInternal = (name: string) => name.startsWith('__') || /^_?connect[-_.]/.test(name);

async function untilStopped(pool: Pool, person: Person): Promise<void> {
  const until = Date.now() + turnsEndWithinMs;
  // A worker that is dead ends nothing; its turn goes with the conversation, and what it writes later changes no row.
  while ((await stopTurns(pool, person)) > 0 && Date.now() < until) await delay(500);
}

async function audit(
  pool: Pool,
  { tenant_id, user_id }: Person,
  id: string,
  step: 'begun' | 'done',
  counts: Counts,
  remaining: readonly Remaining[],
): Promise<void> {
  await pool.query(
    'INSERT INTO ops.erasure (id, step, tenant_id, user_id, counts, remaining) VALUES ($1, $2, $3, $4, $5, $6)',
    [id, step, tenant_id, user_id, JSON.stringify(counts), JSON.stringify(remaining)],
  );
}
