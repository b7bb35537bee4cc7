/** What Postgres remembers of places in topics, brought to topics that were made anew (migration 0603). */
import { setTimeout as pause } from 'node:timers/promises';
import { createTailClient, type KafkaAccess, type TailClient } from '@ragline/streams/tail-client';
import pg from 'pg';

const answeredWithinMs = 30_000;

type Db = Pick<pg.Client, 'query'>;

/**
 * Tells Postgres which making of each topic is there, before the connector writes to it. Where it was made anew, its old
 * places are forgotten; says of which topics. Safe to repeat.
 */
export async function beginTopics(
  db: Db,
  client: Pick<TailClient, 'plan' | 'endOffsets'>,
  topics: readonly string[],
): Promise<string[]> {
  const begun: string[] = [];
  for (const topic of topics) {
    const places = await placesIn(db, topic);
    // After the places: groups at work keep what lies behind an end that was asked for before.
    const { id, ends } = await answered(async () => {
      const plan = await client.plan(topic);
      return { id: plan.id, ends: await client.endOffsets(topic) };
    });
    const { rows } = await db.query<{ begun: boolean }>('SELECT streams.begin_topic($1, $2, $3) AS begun', [
      topic,
      id,
      isNew(places, ends),
    ]);
    if (rows[0]?.begun === true) begun.push(topic);
  }
  return begun;
}

/** A broker that has just started answers before its partitions can: asked again, for a while. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  const until = Date.now() + answeredWithinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > until) throw error;
      await pause(200);
    }
  }
}

/** beginTopics with connections of its own; a database that is not migrated so far remembers nothing, and is left. */
export async function beginTopicsAt(options: {
  databaseUrl: string;
  access: KafkaAccess;
  topics: readonly string[];
}): Promise<string[]> {
  const { databaseUrl, access, topics } = options;
  const db = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-topics' });
  db.on('error', () => {});
  await db.connect();
  const client = createTailClient({ kafka: access, clientId: 'ragline-topics' });
  try {
    const { rows } = await db.query<{ isReady: boolean }>(
      `SELECT to_regprocedure('streams.places(text)') IS NOT NULL AS "isReady"`,
    );
    return rows[0]?.isReady === true ? await beginTopics(db, client, topics) : [];
  } finally {
    await client.close();
    await db.end();
  }
}

/** Whether a topic cannot be the one that the places are about: it is empty, or they lie behind its ends. */
export function isNew(places: ReadonlyMap<number, number>, ends: readonly number[]): boolean {
  return (
    ends.every((end) => end === 0) || [...places].some(([partition, last]) => last >= (ends[partition] ?? 0))
  );
}

async function placesIn(db: Db, topic: string): Promise<Map<number, number>> {
  const { rows } = await db.query<{ partition: number; last: string }>(
    'SELECT partition, last FROM streams.places($1)',
    [topic],
  );
  return new Map(rows.map(({ partition, last }) => [partition, Number(last)]));
}

/** Events of records that wait aside and have no place any more, by topic. */
export async function unplaced(db: Db, topics: readonly string[]): Promise<Map<string, Set<string>>> {
  const { rows } = await db.query<{ topic: string; event_id: string }>(
    'SELECT topic, event_id FROM streams.unplaced($1)',
    [topics],
  );
  const byTopic = new Map(topics.map((topic) => [topic, new Set<string>()]));
  for (const { topic, event_id } of rows) byTopic.get(topic)?.add(event_id);
  return byTopic;
}

/** Gives them the places that their events have now. */
export async function placeAgain(
  db: Db,
  places: ReadonlyMap<string, ReadonlyMap<string, number>>,
): Promise<void> {
  for (const [topic, found] of places) {
    if (found.size === 0) continue;
    await db.query('SELECT streams.place_again($1, $2, $3)', [topic, [...found.keys()], [...found.values()]]);
  }
}

/** Dead letters that Kafka lost before they were kept are told again; how many. */
export async function announceAgain(db: Db): Promise<number> {
  const { rows } = await db.query<{ again: string }>('SELECT streams.announce_again() AS again');
  return Number(rows[0]?.again ?? 0);
}
