/** Erases a person, from the outside in: first nothing new can come, then what is there goes, and the account last. */
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '@ragline/postgres/pool';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { Kafka } from '@ragline/streams/kafka-client';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { Admin } from 'kafkajs';
import { withAdmin } from '../parts/kafka.ts';
import { eraseCaches } from './caches.ts';
import { columns, erased } from './columns.ts';
import { cutRecords, cutUntilStill, placeOf, type Remaining } from './cut.ts';
import { isInternal, judgeOf, kindOf } from './judge.ts';
import { lockOut, type Person, textsOf } from './person.ts';
import { type FoundRecords, findRecords, type Hit, hasArrived } from './records.ts';
import {
  type Counts,
  countRows,
  eraseAccount,
  eraseFailed,
  eraseRows,
  keysOf,
  knownToOutboxes,
  type Marks,
  stopTurns,
  sumOf,
} from './rows.ts';
import { type Found, findTexts, remainingOf } from './search.ts';

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
  /** How long is waited for others. Above all for tests. */
  within?: { arrivedMs: number; readMs: number };
};

/**
 * `remaining`: what another run may remove. `to_decide`: what names the person and is none of the person's, such as the
 * tenant's own texts; no run removes it.
 */
export type Erased = {
  id: string;
  user_id: string;
  dry_run: boolean;
  counts: Counts;
  remaining: Remaining[];
  to_decide: Remaining[];
};

const turnsEndWithinMs = 30_000;
const patience = { arrivedMs: 30_000, readMs: 60_000 };

/** May be called again after it died anywhere: each step finds what is left, and the audit has both calls. */
export async function erase(parts: EraseParts, person: Person, options: EraseOptions): Promise<Erased> {
  const texts = textsOf(person, options.texts);
  const client = createTailClient({ kafka: parts.access, clientId: 'ragline-erase' });
  try {
    return await withAdmin(parts.kafka, (admin) =>
      run({ ...parts, admin, client }, person, { ...options, texts }),
    );
  } finally {
    await client.close();
  }
}

type RunParts = EraseParts & {
  admin: Admin;
  client: ReturnType<typeof createTailClient>;
};

async function run(parts: RunParts, person: Person, options: EraseOptions): Promise<Erased> {
  const { pool, say, admin } = parts;
  const id = randomUUIDv7();
  const { within = patience } = options;
  const marksNow = async (): Promise<Marks> => ({
    texts: [...options.texts],
    keys: await keysOf(pool, person),
  });
  if (options.dryRun) return look(parts, person, await marksNow(), id);

  await audit(pool, person, id, 'begun', {}, []);
  const waiting: Remaining[] = person.email === null ? [] : await close(parts, person, within.arrivedMs);
  say('stopping answers');
  await untilStopped(pool, person);

  const marks = await marksNow();
  say('discarding what failed');
  const failed = await eraseFailed(pool, person, marks);
  say('reading all topics');
  const of = await cutUntilStill({
    find: (where) => find(parts, person, marks, where),
    cut: (hits) => cutRecords({ admin, pool, hits, named: options.cut, withinMs: within.readMs }),
  });
  waiting.push(...of.waiting);
  // Letters that have come of records since, which the cut has waited for.
  const failedSince = await eraseFailed(pool, person, marks);
  if (failedSince.streams?.busy) {
    const why = 'somebody has hold of a parked record: run this again';
    waiting.push({ where: 'streams.parked_record', why });
  }
  say('removing rows');
  const caches = await emptyCaches(parts, person);
  waiting.push(...caches.waiting);
  const rows = await eraseRows(pool, person, marks);
  // The next run finds what waits by the address, which only the account has.
  const keepsAccount = person.email !== null && waiting.length > 0;
  const account = keepsAccount ? {} : await eraseAccount(pool, person, marks);

  say('searching for what is left');
  const counts = sumOf(failed, failedSince, { kafka: { records: of.cut } }, caches.counts, rows, account);
  if (keepsAccount) {
    const why = 'the account is closed, and goes once the rest above has gone: run this again';
    waiting.push({ where: 'identity.user_account', why });
  }
  const found = await findTexts(pool, person, marks.texts);
  const left = remainingOf(
    found.filter((it) => !(keepsAccount && it.schema === 'identity' && it.whose === 'own')),
  );
  const remaining = [...waiting, ...of.others, ...left.remaining];
  delete counts.streams?.busy;
  await audit(pool, person, id, 'done', counts, remaining);
  const to_decide = [...of.own.map(inEvents), ...left.toDecide, ...caches.toDecide];
  return { id, user_id: person.user_id, dry_run: false, counts, remaining, to_decide };
}

const inEvents = (hit: Hit): Remaining => ({
  where: placeOf(hit),
  why: 'events with the tenant’s own text: they go with the age of the topic, see the runbook',
});

/** A cache that is away keeps no row from being erased. */
async function emptyCaches(
  { redisUrl }: EraseParts,
  person: Person,
): Promise<{ counts: Counts; waiting: Remaining[]; toDecide: Remaining[] }> {
  if (redisUrl === undefined) {
    const why = 'REDIS_URL is not set: where services have one, run this again with it';
    return { counts: {}, waiting: [], toDecide: [{ where: 'Redis', why }] };
  }
  try {
    return { counts: { caches: await eraseCaches(redisUrl, person) }, waiting: [], toDecide: [] };
  } catch (error) {
    const why = `not reached (${error instanceof Error ? error.message : String(error)}): run this again`;
    return { counts: {}, waiting: [{ where: 'Redis', why }], toDecide: [] };
  }
}

/** Nothing new comes of the person from here on. */
async function close(parts: RunParts, person: Person, withinMs: number): Promise<Remaining[]> {
  parts.say('locking the account');
  const event = await lockOut(parts.pool, parts.codec, person);
  if (await hasArrived(parts.client, topics.revocations.name, event, withinMs)) return [];
  const why =
    'events do not reach Kafka, so tokens are good for up to 15 min: mend that, then run this again';
  return [{ where: topics.revocations.name, why }];
}

/** What would go: the same functions, each in a transaction that is taken back. And what would be left to others. */
async function look(parts: RunParts, person: Person, marks: Marks, id: string): Promise<Erased> {
  const { pool, say } = parts;
  say('counting');
  const { hits, own } = await find(parts, person, marks, 'everywhere');
  const records = hits.reduce((sum, hit) => sum + hit.records, 0);
  const counts = sumOf({ kafka: { records } }, await countRows(pool, person, marks));
  delete counts.streams?.busy;
  const goes = ({ schema, table, column, whose }: Found) =>
    whose === 'own' && columns[`${schema}.${table}`]?.[column] === erased;
  const found = await findTexts(pool, person, marks.texts);
  const { toDecide } = remainingOf(found.filter((it) => !goes(it)));
  const to_decide = [...own.map(inEvents), ...toDecide];
  if (person.is_last_admin)
    to_decide.push({ where: 'identity.user_account', why: 'the only active admin: make another one first' });
  return { id, user_id: person.user_id, dry_run: true, counts, remaining: [], to_decide };
}

async function find(
  { admin, client, pool }: RunParts,
  person: Person,
  marks: Marks,
  where: 'everywhere' | 'among what failed',
): Promise<FoundRecords> {
  const isWanted = (name: string) => where === 'everywhere' || kindOf(name) === 'failed';
  const names = (await admin.listTopics()).filter((name) => !isInternal(name) && isWanted(name));
  return findRecords({
    client,
    isThere: async (topic) => (await admin.listTopics()).includes(topic),
    // What may grow while it is read comes last.
    topics: names.sort(
      (a, b) => Number(kindOf(a) === 'log') - Number(kindOf(b) === 'log') || (a < b ? -1 : 1),
    ),
    judge: judgeOf(person.user_id, marks.keys, marks.texts),
    isKnown: (ids) => knownToOutboxes(pool, ids),
  });
}

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
