/** What alerts and metrics are made of, from sums that follow the letters: no round counts the letters themselves. */
import type { Client } from '@ragline/postgres/pool';
import type { AlertKind } from './alert-rules.ts';

/** Of one tenant (null: all together) and one group. */
export type Measure = {
  tenant_id: string | null;
  group: string;
  /** Letters by state, without those of no letters. */
  letters: Record<string, number>;
  /** When the oldest letter that waits was kept. */
  oldest: Date | null;
  /** Letters that failed, newly or again, in a minute: mean of the last five. */
  failures_per_minute: number;
};

/**
 * Reads the sums of all letters together, and of each tenant that has rules of its own, within the transaction's scope;
 * a few milliseconds, whatever the number of letters. The oldest is looked up: ids are UUIDv7, so it is the first of its
 * group in an index.
 */
export async function readMeasures(client: Client): Promise<Measure[]> {
  const { rows } = await client.query<Measure>({
    name: 'dead_letters_measures',
    text: `WITH watched AS (
       SELECT tenant_id FROM dead_letters.alert_rule WHERE tenant_id IS NOT NULL
       UNION SELECT tenant_id FROM dead_letters.alert WHERE tenant_id IS NOT NULL AND state <> 'cleared'),
     sums AS (
       SELECT NULL::uuid AS tenant_id, group_id, state, sum(letters)::bigint AS letters
         FROM dead_letters.tally GROUP BY 2, 3 HAVING sum(letters) > 0
       UNION ALL
       SELECT tenant_id, group_id, state, sum(letters)::bigint
         FROM dead_letters.tally JOIN watched USING (tenant_id) GROUP BY 1, 2, 3 HAVING sum(letters) > 0),
     since AS (SELECT date_trunc('minute', clock_timestamp()) - interval '4 minutes' AS minute),
     paces AS (
       SELECT tenant_id, group_id, events FROM dead_letters.pace, since
        WHERE pace.minute >= since.minute AND event IN ('kept', 'failed_again')),
     failed AS (
       SELECT NULL::uuid AS tenant_id, group_id, sum(events)::float8 AS events FROM paces GROUP BY 2
       UNION ALL
       SELECT tenant_id, group_id, sum(events)::float8 FROM paces JOIN watched USING (tenant_id) GROUP BY 1, 2),
     measured AS (
       SELECT tenant_id, group_id, jsonb_object_agg(state, letters) FILTER (WHERE state IS NOT NULL) AS letters,
              coalesce(sum(events), 0) * 60 / extract(epoch FROM clock_timestamp() - min(since.minute))::float8 AS pace
         FROM (SELECT *, NULL::float8 AS events FROM sums
               UNION ALL SELECT tenant_id, group_id, NULL, NULL, events FROM failed) AS both_kinds, since
        GROUP BY 1, 2)
     SELECT tenant_id, group_id AS "group", coalesce(letters, '{}') AS letters, pace AS failures_per_minute,
            CASE WHEN NOT coalesce(letters, '{}') ? 'waiting' THEN NULL
                 WHEN tenant_id IS NULL THEN (
                   SELECT kept_at FROM dead_letters.letter l
                    WHERE l.group_id = m.group_id AND state = 'waiting' ORDER BY id LIMIT 1)
                 ELSE (
                   SELECT kept_at FROM dead_letters.letter l
                    WHERE l.tenant_id = m.tenant_id AND l.group_id = m.group_id AND state = 'waiting' ORDER BY id LIMIT 1)
            END AS oldest
       FROM measured m ORDER BY group_id, tenant_id`,
  });
  return rows;
}

/** The value of a kind over these measures; 0 over none. */
export function measured(kind: AlertKind, measures: readonly Measure[], now: Date): number {
  switch (kind) {
    case 'volume':
      return measures.reduce((sum, { letters }) => sum + (letters.waiting ?? 0), 0);
    case 'failure_rate':
      return measures.reduce((sum, { failures_per_minute }) => sum + failures_per_minute, 0);
    case 'oldest_age': {
      const times = measures.flatMap(({ oldest }) => (oldest === null ? [] : [oldest.getTime()]));
      return times.length === 0 ? 0 : Math.max(0, (now.getTime() - Math.min(...times)) / 1_000);
    }
  }
}
