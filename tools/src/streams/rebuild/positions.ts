/** What Postgres remembers of places in topics, brought to topics that were made anew (migration 0603). */
import type pg from 'pg';

type Db = Pick<pg.Client, 'query'>;

/** Before anything is written to the topic; says whether it was made anew, so that old places were forgotten. */
export async function beginTopic(
  db: Db,
  topic: { name: string; id: string; isEmpty: boolean },
): Promise<boolean> {
  const { rows } = await db.query<{ begun: boolean }>('SELECT streams.begin_topic($1, $2, $3) AS begun', [
    topic.name,
    topic.id,
    topic.isEmpty,
  ]);
  return rows[0]?.begun === true;
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
