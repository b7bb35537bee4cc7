/** Windows that are due, told: claimed, counted, written and published in one transaction, so once, whoever dies when. */
import { appendOutbox } from '@ragline/postgres/outbox';
import { type Client, inTransaction, type Pool, setTenant } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { createOrderedIds } from '../ordered-ids.ts';
import { type Encode, outboxRow } from '../outbox.ts';
import { isForStaff, isOwn } from '../store.ts';
import { countedMax, digestTitle, type Held, windowId } from './digest.ts';
import { digestKind } from './kinds.ts';
import { quietPieces } from './quiet-hours.ts';
import { afterQuiet, heldKinds, lastEnd, type Rules, windowEnd } from './rules.ts';
import { rulesFrom } from './shapes.ts';

export type Told = { told: number; empty: number; postponed: number };

type Row = {
  tenant_id: string;
  user_id: string;
  starts_at: Date;
  ends_at: Date;
  is_last: boolean;
  is_staff: boolean;
  /** He has not been here for long: this one is his last. */
  is_away: boolean;
  rules: unknown;
  present: unknown;
};
type Span = { starts: number; ends: number };

const nextId = createOrderedIds(Date.now);
/** Between an instance's clock, from which ids are, and the database's. */
const skewMs = 300_000;

/**
 * Tells up to `max` windows that are due; others who do the same at the same time take other ones.
 *
 * @param until up to when all that was made can be seen (see settled.ts)
 */
export async function tellDue(pool: Pool, encode: Encode, until: number, max: number): Promise<Told> {
  return inTransaction(pool, async (client) => {
    await client.query("SELECT set_config('ragline.scope', 'operator', true)");
    const { rows } = await client.query<Row>({
      name: 'digest_claim',
      text: claimSql,
      values: [new Date(until), max],
    });
    const told: Told = { told: 0, empty: 0, postponed: 0 };
    for (const row of rows) told[await tell(client, row, until, encode)] += 1;
    return told;
  });
}

/** Puts the first window that is due off, when it cannot be told: others are not to wait behind it. How many: 1, or 0. */
export async function putOff(pool: Pool, until: number, delayMs: number): Promise<number> {
  return inTransaction(pool, async (client) => {
    await client.query("SELECT set_config('ragline.scope', 'operator', true)");
    const { rowCount } = await client.query({
      name: 'digest_put_off',
      text: `WITH due AS (${claimSql})
             UPDATE notifications.digest_window w SET due_at = now() + make_interval(secs => $3)
               FROM due
              WHERE w.tenant_id = due.tenant_id AND w.user_id = due.user_id AND w.starts_at = due.starts_at`,
      values: [new Date(until), 1, delayMs / 1_000],
    });
    return rowCount ?? 0;
  });
}

const claimSql = `
  SELECT w.tenant_id, w.user_id, w.starts_at, w.ends_at, w.is_last, w.rules, p.is_staff, p.rules AS present,
         p.seen_at < now() - interval '30 days' AS is_away
    FROM notifications.digest_window w JOIN notifications.preference p USING (tenant_id, user_id)
   WHERE w.due_at <= $1
   ORDER BY w.due_at
   LIMIT $2
     FOR UPDATE OF w SKIP LOCKED`;

async function tell(client: Client, row: Row, until: number, encode: Encode): Promise<keyof Told> {
  const rules = rulesFrom(row.rules);
  // Nobody is woken, also where this comes late; the present preferences say when he sleeps.
  const awake = afterQuiet(rulesFrom(row.present), until);
  if (awake > until) {
    await postpone(client, row, awake);
    return 'postponed';
  }
  const starts = row.starts_at.getTime();
  const ends = row.is_last ? row.ends_at.getTime() : lastEnd(rules, row.ends_at.getTime(), until);
  await setTenant(client, row.tenant_id);
  const title = digestTitle(await heldIn(client, row, rules, { starts, ends }));
  if (title !== undefined) await write(client, row, title, encode);
  await goOn(client, row, rules, ends);
  return title === undefined ? 'empty' : 'told';
}

async function postpone(client: Client, { tenant_id, user_id, starts_at }: Row, to: number): Promise<void> {
  await client.query({
    name: 'digest_postpone',
    text: `UPDATE notifications.digest_window
              SET due_at = $4, ends_at = CASE WHEN is_last THEN ends_at ELSE $4 END
            WHERE tenant_id = $1 AND user_id = $2 AND starts_at = $3`,
    values: [tenant_id, user_id, starts_at, new Date(to)],
  });
}

/** What was held, always or because it was quiet when it was made, and was not read meanwhile: who looked needs no telling. */
async function heldIn(client: Client, row: Row, rules: Rules, { starts, ends }: Span): Promise<Held[]> {
  const { always, notWhenQuiet } = heldKinds(rules);
  const pieces = rules.quiet_hours === null ? [] : quietPieces(rules.quiet_hours, starts, ends);
  const iso = (at: number) => new Date(at).toISOString();
  // OFFSET 0: marks are looked up row by row. Joined, a digest of three would read all that its user ever marked.
  const side = (visible: string) => `(
    SELECT n.audience, n.kind FROM notifications.notification n
     WHERE ${visible} AND n.id >= $4 AND n.created_at >= $5 AND n.created_at < $6
       AND (n.kind = ANY ($7) OR n.kind <> ALL ($8) AND n.created_at <@ $9::tstzmultirange)
       AND NOT EXISTS (SELECT FROM notifications.notification_read r
                        WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.notification_id = n.id OFFSET 0)
     LIMIT $10)`;
  const { rows } = await client.query<Held>({
    name: 'digest_count',
    text: `SELECT audience, kind, count(*) AS count FROM (${side(isOwn)} UNION ALL ${side(isForStaff)}) held
            GROUP BY audience, kind ORDER BY audience DESC, kind`,
    values: [
      row.tenant_id,
      row.user_id,
      row.is_staff,
      firstIdAt(starts - skewMs),
      new Date(starts),
      new Date(ends),
      always,
      notWhenQuiet,
      `{${pieces.map(([from, to]) => `[${iso(from)},${iso(to)})`).join(',')}}`,
      countedMax,
    ],
  });
  return rows;
}

function firstIdAt(ms: number): string {
  const time = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

async function write(client: Client, row: Row, title: string, encode: Encode): Promise<void> {
  const { tenant_id, user_id, is_staff } = row;
  const id = nextId();
  const event_id = windowId(row, row.starts_at.getTime());
  const { rows } = await client.query<{ created_at: Date }>({
    name: 'digest_write',
    text: `INSERT INTO notifications.notification
             (id, tenant_id, audience, user_id, kind, event_id, order_id, title, created_at, while_staff)
           VALUES ($1, $2, 'user', $3, $4, $5, NULL, $6, date_trunc('milliseconds', clock_timestamp()), $7)
           ON CONFLICT (event_id, audience) DO NOTHING
           RETURNING created_at`,
    values: [id, tenant_id, user_id, digestKind, event_id, title, is_staff],
  });
  const created_at = rows[0]?.created_at.toISOString();
  // It was told: only a database that was set back can say so here.
  if (created_at === undefined) return;
  const event = outboxRow(
    {
      event_id: nextId(),
      event_type: 'notification_created',
      occurred_at: created_at,
      tenant_id,
      user_id,
      audience: 'user',
      notification: { id, kind: digestKind, event_id, order_id: null, title, read_at: null, created_at },
      while_staff: is_staff,
      preferences: null,
    },
    currentTraceparent(),
    encode,
  );
  await appendOutbox(client, 'notifications', [event]);
}

/** The next window. The row itself moves on: a change of preferences that waits for it finds the window that runs then. */
async function goOn(client: Client, row: Row, rules: Rules, ends: number): Promise<void> {
  const { tenant_id, user_id, starts_at, is_last, is_away } = row;
  const values = [tenant_id, user_id, starts_at];
  if (is_last || is_away) {
    await client.query({
      name: 'digest_window_over',
      text: 'DELETE FROM notifications.digest_window WHERE tenant_id = $1 AND user_id = $2 AND starts_at = $3',
      values,
    });
    return;
  }
  await client.query({
    name: 'digest_window_next',
    text: `UPDATE notifications.digest_window SET starts_at = $4, ends_at = $5, due_at = $5
            WHERE tenant_id = $1 AND user_id = $2 AND starts_at = $3`,
    values: [...values, new Date(ends), new Date(windowEnd(rules, ends))],
  });
}
