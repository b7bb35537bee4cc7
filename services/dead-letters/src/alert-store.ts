/** Rules and alerts in Postgres; every function works in the caller's transaction and within its scope. */
import type { Client } from '@ragline/postgres/pool';
import type { AlertKind, AlertRule, Step, Watch } from './alert-rules.ts';

export type TenantRule = AlertRule & { id: string; tenant_id: string | null };

export type Alert = {
  id: string;
  tenant_id: string | null;
  kind: AlertKind;
  group: string | null;
  state: 'pending' | 'raised' | 'cleared';
  value: number;
  threshold: number;
  pending_since: Date;
  raised_at: Date | null;
  below_since: Date | null;
  cleared_at: Date | null;
  acknowledged_at: Date | null;
  acknowledged_by: string | null;
  silenced_until: Date | null;
  silenced_by: string | null;
};

export type AlertStore = ReturnType<typeof alertStore>;

/** What is watched: a kind, of a tenant (null: all of them) and a group (null: all together). */
export type Subject = Pick<Alert, 'tenant_id' | 'kind' | 'group'>;
export type Applied = {
  subject: Subject;
  alert: Alert | undefined;
  value: number;
  rule: AlertRule | undefined;
};

const columns = `id, tenant_id, kind, group_id AS "group", state, value, threshold, pending_since, raised_at, below_since,
  cleared_at, acknowledged_at, acknowledged_by, silenced_until, silenced_by`;
const ruleColumns = `id, tenant_id, kind, group_id AS "group", raise_at, clear_below, raise_after_s, clear_after_s`;
const clearedShown = 100;

/** A cleared alert is history; the lists need not be longer than the letters are kept. */
const historyDays = 90;

export function alertStore() {
  return {
    /** Takes the watch for this transaction, and says what time it is by Postgres; undefined when another has it. */
    async lock(client: Client): Promise<Date | undefined> {
      const { rows } = await client.query<{ mine: boolean; now: Date }>(
        `SELECT pg_try_advisory_xact_lock(hashtextextended('ragline.dead_letters.alerts', 0)) AS mine,
                clock_timestamp() AS now`,
      );
      return rows[0]?.mine ? rows[0].now : undefined;
    },

    async rules(client: Client): Promise<TenantRule[]> {
      const { rows } = await client.query<TenantRule>(
        `SELECT ${ruleColumns} FROM dead_letters.alert_rule ORDER BY tenant_id NULLS FIRST, kind, group_id NULLS FIRST`,
      );
      return rows;
    },

    /** Puts these in place of all rules of the tenant (null: the operator's); a rule that stays keeps its id. */
    async setRules(client: Client, tenantId: string | null, rules: readonly AlertRule[]): Promise<void> {
      // One at a time: of two who replace all rules, the second would else keep some of the first's.
      await client.query(
        "SELECT pg_advisory_xact_lock(hashtextextended('ragline.dead_letters.alert_rules', 0))",
      );
      const json = JSON.stringify(rules);
      await client.query(
        `DELETE FROM dead_letters.alert_rule r WHERE r.tenant_id IS NOT DISTINCT FROM $1 AND NOT EXISTS (
           SELECT FROM jsonb_to_recordset($2::jsonb) AS new(kind text, "group" text)
            WHERE new.kind = r.kind AND new."group" IS NOT DISTINCT FROM r.group_id)`,
        [tenantId, json],
      );
      await client.query(
        `INSERT INTO dead_letters.alert_rule (tenant_id, kind, group_id, raise_at, clear_below, raise_after_s, clear_after_s)
         SELECT $1, new.* FROM jsonb_to_recordset($2::jsonb) AS new(kind text, "group" text, raise_at float8,
           clear_below float8, raise_after_s int, clear_after_s int)
         ON CONFLICT (tenant_id, kind, group_id) DO UPDATE SET raise_at = excluded.raise_at,
           clear_below = excluded.clear_below, raise_after_s = excluded.raise_after_s, clear_after_s = excluded.clear_after_s`,
        [tenantId, json],
      );
    },

    /** Alerts that are raised or about to be. */
    async open(client: Client): Promise<Alert[]> {
      const { rows } = await client.query<Alert>(
        `SELECT ${columns} FROM dead_letters.alert WHERE state <> 'cleared' ORDER BY id`,
      );
      return rows;
    },

    /** For people: what is raised, and the last that were cleared, newest first. */
    async list(client: Client): Promise<Alert[]> {
      const { rows } = await client.query<Alert>(
        `(SELECT ${columns} FROM dead_letters.alert WHERE state = 'raised' ORDER BY raised_at DESC, id DESC)
         UNION ALL
         (SELECT ${columns} FROM dead_letters.alert WHERE state = 'cleared' ORDER BY cleared_at DESC, id DESC LIMIT $1)`,
        [clearedShown],
      );
      return rows;
    },

    /** Carries a step out; the alert as it is then, undefined where there is none. */
    async apply(client: Client, step: Step, applied: Applied): Promise<Alert | undefined> {
      const { subject, alert, value, rule } = applied;
      const threshold = rule?.raise_at ?? alert?.threshold ?? 0;
      if (alert === undefined) {
        if (step !== 'raise' && step !== 'pend') return undefined;
        return insert(client, subject, { state: step === 'raise' ? 'raised' : 'pending', value, threshold });
      }
      if (step === 'forget') {
        await client.query('DELETE FROM dead_letters.alert WHERE id = $1', [alert.id]);
        return undefined;
      }
      if (step === 'none' && value === alert.value) return alert;
      return update(client, alert.id, step, value);
    },

    /** Forgets alerts that were cleared long ago, with their messages. */
    async prune(client: Client): Promise<void> {
      await client.query(
        `DELETE FROM dead_letters.alert WHERE state = 'cleared' AND cleared_at < now() - make_interval(days => $1)`,
        [historyDays],
      );
    },

    /** Marks a raised alert as seen; who was first stays. Undefined when there is none of that id. */
    async acknowledge(client: Client, id: string, userId: string): Promise<Alert | undefined> {
      const { rows } = await client.query<Alert>(
        `UPDATE dead_letters.alert SET acknowledged_at = coalesce(acknowledged_at, clock_timestamp()),
                acknowledged_by = coalesce(acknowledged_by, $2) WHERE id = $1 AND state <> 'pending' RETURNING ${columns}`,
        [id, userId],
      );
      return rows[0];
    },

    /** No message leaves about it until then; null ends the silence. */
    async silence(
      client: Client,
      id: string,
      { until, userId }: { until: Date | null; userId: string },
    ): Promise<Alert | undefined> {
      const { rows } = await client.query<Alert>(
        `UPDATE dead_letters.alert SET silenced_until = $2, silenced_by = CASE WHEN $2::timestamptz IS NULL THEN NULL ELSE $3::uuid END
          WHERE id = $1 AND state <> 'pending' RETURNING ${columns}`,
        [id, until, userId],
      );
      return rows[0];
    },
  };
}

/** What the rules decide by. */
export function watchOf({ state, pending_since, below_since }: Alert): Watch {
  if (state === 'raised') return { state, belowSince: below_since };
  return state === 'pending' ? { state, since: pending_since } : { state: 'quiet' };
}

// A silence is about what is watched, not about one alert of it: it is handed on to the next.
async function insert(
  client: Client,
  { tenant_id, kind, group }: Subject,
  { state, value, threshold }: Pick<Alert, 'state' | 'value' | 'threshold'>,
): Promise<Alert | undefined> {
  const { rows } = await client.query<Alert>(
    `INSERT INTO dead_letters.alert (tenant_id, kind, group_id, state, value, threshold, pending_since, raised_at,
       silenced_until, silenced_by)
     SELECT $1, $2, $3, $4, $5, $6, clock_timestamp(), CASE $4::text WHEN 'raised' THEN clock_timestamp() END,
       s.silenced_until, s.silenced_by
     FROM (SELECT 1) AS one LEFT JOIN LATERAL (
       SELECT silenced_until, silenced_by FROM dead_letters.alert a
        WHERE a.tenant_id IS NOT DISTINCT FROM $1 AND a.kind = $2 AND a.group_id IS NOT DISTINCT FROM $3
          AND a.silenced_until > clock_timestamp() ORDER BY a.silenced_until DESC LIMIT 1) AS s ON true
     RETURNING ${columns}`,
    [tenant_id, kind, group, state, value, threshold],
  );
  return rows[0];
}

async function update(client: Client, id: string, step: Step, value: number): Promise<Alert | undefined> {
  const { rows } = await client.query<Alert>(
    `UPDATE dead_letters.alert SET value = $3,
       state = CASE $2::text WHEN 'raise' THEN 'raised' WHEN 'clear' THEN 'cleared' ELSE state END,
       raised_at = CASE $2::text WHEN 'raise' THEN clock_timestamp() ELSE raised_at END,
       cleared_at = CASE $2::text WHEN 'clear' THEN clock_timestamp() ELSE cleared_at END,
       below_since = CASE $2::text WHEN 'fall' THEN clock_timestamp() WHEN 'rise' THEN NULL ELSE below_since END
     WHERE id = $1 RETURNING ${columns}`,
    [id, step, value],
  );
  return rows[0];
}
