/** Takes records out of Kafka, which can only be done from the beginning of a partition on: up to the last of the person's. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '@ragline/postgres/pool';
import type { Admin } from 'kafkajs';
import type { FoundRecords, Hit } from './records.ts';

export type Remaining = { where: string; why: string };
/** What is asked of Kafka. */
export type CutAdmin = Pick<Admin, 'listGroups' | 'describeGroups' | 'fetchOffsets' | 'deleteTopicRecords'>;
/** `waiting`: will be cut by a later run; `others`: only if the topic is named. */
export type Cut = { cut: number; waiting: Remaining[]; others: Remaining[] };

const lettersGroup = 'dead-letters';

const roundsMax = 4;

/**
 * Finds and cuts until nothing of the person moves any more: a record that its group has read may have been given up
 * meanwhile, and lie in the next topic, which was read before.
 *
 * @param find in all topics, or in those of what failed alone
 */
export async function cutUntilStill(steps: {
  find(where: 'everywhere' | 'among what failed'): Promise<FoundRecords>;
  cut(hits: readonly Hit[]): Promise<Cut>;
}): Promise<Cut & { own: Hit[] }> {
  const { hits, own } = await steps.find('everywhere');
  const all = { ...(await steps.cut(hits)), own };
  let moved = hits.some(({ kind }) => kind === 'failed');
  for (let round = 2; moved && all.waiting.length === 0; round += 1) {
    const again = await steps.find('among what failed');
    moved = again.hits.length > 0;
    if (moved && round > roundsMax) {
      const why = 'groups try records of the person again all the while: run this again';
      return { ...all, waiting: again.hits.map((hit) => ({ where: placeOf(hit), why })) };
    }
    const { cut, waiting } = await steps.cut(again.hits);
    all.cut += cut;
    all.waiting.push(...waiting);
  }
  return all;
}

/**
 * Cuts each partition behind the person's last record, once nobody needs what is cut with it:
 *
 * - whatever a group of ours (or another that runs) reads, it has read;
 * - a dead letter is kept in Postgres, which is the same: the group dead-letters has read it;
 * - an answer that began before is finished, and so in Postgres.
 *
 * Topics that hold others' events too are cut only when they are named, see `named`. What cannot be cut within that time
 * is said, and is there for the next run.
 */
export async function cutRecords(parts: {
  admin: CutAdmin;
  pool: Pool;
  hits: readonly Hit[];
  /** Topics that the operator allows to be cut, though others' events go with it, and though their group is gone. */
  named: readonly string[];
  withinMs: number;
}): Promise<Cut> {
  const { admin, named } = parts;
  const others: Remaining[] = [];
  let waiting: Hit[] = [];
  for (const hit of parts.hits) {
    if (hit.kind === 'answers' || hit.kind === 'failed' || named.includes(hit.topic)) waiting.push(hit);
    else others.push({ where: placeOf(hit), why: whyNotOf(hit) });
  }
  let cut = 0;
  const until = Date.now() + parts.withinMs;
  for (;;) {
    const obstacles = await obstaclesOf(parts, waiting);
    const free = waiting.filter((hit) => !obstacles.has(hit));
    for (const [topic, of] of Map.groupBy(free, (hit) => hit.topic)) {
      const partitions = of.map(({ partition, last }) => ({ partition, offset: String(last + 1) }));
      await admin.deleteTopicRecords({ topic, partitions });
      cut += of.reduce((sum, { records }) => sum + records, 0);
    }
    waiting = [...obstacles.keys()];
    if (waiting.length === 0) return { cut, waiting: [], others };
    if (Date.now() >= until) {
      return { cut, waiting: Array.from(obstacles, ([hit, why]) => ({ where: placeOf(hit), why })), others };
    }
    await delay(500);
  }
}

function whyNotOf({ topic, kind }: Hit): string {
  const whose =
    kind === 'log' || kind === 'counted'
      ? 'not written by RAGline; others’ events before it would go too'
      : 'a topic of somebody else’s';
  return `${whose}: --cut ${topic}`;
}

/** Such as `orders.v1/3 17–20`. */
export const placeOf = ({ topic, partition, first, last }: Hit) => `${topic}/${partition} ${first}–${last}`;

/** Why a partition cannot be cut at the moment; those that can are left out. */
async function obstaclesOf(
  { admin, pool, named }: Pick<Parameters<typeof cutRecords>[0], 'admin' | 'pool' | 'named'>,
  hits: readonly Hit[],
): Promise<Map<Hit, string>> {
  const obstacles = new Map<Hit, string>();
  if (hits.length === 0) return obstacles;
  for (const hit of hits) {
    if (hit.kind !== 'answers') continue;
    const { rows } = await pool.query<{ open: number }>(
      `SELECT count(*) AS open FROM chat.turn
        WHERE state IN ('requested', 'running') AND requested_at <= to_timestamp($1::double precision / 1000)`,
      [hit.lastAt],
    );
    if (rows[0]?.open) obstacles.set(hit, 'answers of others are being made, whose beginning would go too');
  }
  const readers = await readersOf(admin, [...new Set(hits.map(({ topic }) => topic))]);
  const { rows: ours } = await pool.query<{ group_id: string }>('SELECT group_id FROM streams.group_role');
  const own = new Set([lettersGroup, ...ours.map(({ group_id }) => group_id)]);
  for (const hit of hits) {
    const must = named.includes(hit.topic) ? undefined : mustHaveRead(hit);
    const isThere = readers.some(({ groupId, places }) => groupId === must && places.has(keyOf(hit)));
    const behind = readers.find(
      ({ groupId, isIdle, places }) =>
        (!isIdle || own.has(groupId)) && (places.get(keyOf(hit)) ?? Number.POSITIVE_INFINITY) <= hit.last,
    );
    if (behind !== undefined) obstacles.set(hit, `the group ${behind.groupId} has not read it yet`);
    else if (must !== undefined && !isThere) obstacles.set(hit, `the group ${must} has not read it yet`);
  }
  return obstacles;
}

/** The group without which nothing of a topic is kept anywhere else. */
function mustHaveRead({ kind, topic }: Hit): string | undefined {
  if (kind !== 'failed') return undefined;
  return topic.endsWith('.dlq') ? lettersGroup : topic.replace(/\.(?:replay|retry\.[^.]+)$/, '');
}

type Reader = { groupId: string; isIdle: boolean; places: Map<string, number> };

async function readersOf(admin: CutAdmin, topics: string[]): Promise<Reader[]> {
  const { groups } = await admin.listGroups();
  const ids = groups.filter(({ protocolType }) => protocolType === 'consumer').map(({ groupId }) => groupId);
  if (ids.length === 0) return [];
  const described = await admin.describeGroups(ids);
  const readers: Reader[] = [];
  for (const { groupId, state } of described.groups) {
    const places = new Map<string, number>();
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics })) {
      for (const { partition, offset } of partitions) {
        if (Number(offset) >= 0) places.set(`${topic}/${partition}`, Number(offset));
      }
    }
    if (places.size > 0) readers.push({ groupId, isIdle: state === 'Empty' || state === 'Dead', places });
  }
  return readers;
}

const keyOf = ({ topic, partition }: Hit) => `${topic}/${partition}`;
