/** Preferences in Postgres: each change is also an event, and begins and ends windows of digests, in one transaction. */
import { appendOutbox } from '@ragline/postgres/outbox';
import { type Client, inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { problem } from '@ragline/web/problems';
import { createOrderedIds } from '../ordered-ids.ts';
import { type Encode, outboxRow } from '../outbox.ts';
import type { Reader } from '../reader.ts';
import {
  afterQuiet,
  historyMax,
  holdsAnything,
  isSame,
  normal,
  type Preferences,
  type Rules,
  unlistedKinds,
  usualPreferences,
  windowEnd,
} from './rules.ts';
import { preferencesFrom, readablePreferences, rulesFrom, shown } from './shapes.ts';

export type User = { tenant_id: string; user_id: string };
export type PreferenceStore = ReturnType<typeof preferenceStore>;

/** Windows that wait to be told; who changes his mind faster is asked to wait. */
const windowsMax = 20;
/**
 * For so long after a change instances may not know of it, and hold what they should tell: the digest of before counts it
 * too. So within this time something can be told twice, and nothing is lost.
 */
const overlapMs = 1_000;
/** From when a digest is due until it is told, as a rule. */
const toldWithinS = 5;

const nextId = createOrderedIds(Date.now);

/** @param encoder gives the encoder of `notification_v1`; asked before a transaction begins, since it may have to wait */
export function preferenceStore(pool: Pool, encoder: () => Promise<Encode>) {
  return {
    get(user: User): Promise<Preferences> {
      return inTenant(pool, user.tenant_id, async (client) => {
        const { rows } = await client.query({
          name: 'preferences_get',
          text: `SELECT ${columns} FROM notifications.preference p WHERE p.tenant_id = $1 AND p.user_id = $2`,
          values: [user.tenant_id, user.user_id],
        });
        return rows[0] === undefined ? usualPreferences : preferencesFrom(rows[0]);
      });
    },

    /**
     * Those of several users of whatever tenants who have ever put any; undefined where another version wrote them, and
     * this one cannot read them, which is nobody else's trouble. For the service's own use, never for a caller.
     */
    async ofUsers(users: readonly User[]): Promise<{ user: User; preferences: Preferences | undefined }[]> {
      return inTransaction(pool, async (client) => {
        await client.query("SELECT set_config('ragline.scope', 'operator', true)");
        const { rows } = await client.query<User>({
          name: 'preferences_of_users',
          text: `SELECT p.tenant_id, p.user_id, ${columns}
                   FROM unnest($1::uuid[], $2::uuid[]) AS u (tenant_id, user_id)
                   JOIN notifications.preference p USING (tenant_id, user_id)`,
          values: [users.map((it) => it.tenant_id), users.map((it) => it.user_id)],
        });
        return rows.map((row) => ({
          user: { tenant_id: row.tenant_id, user_id: row.user_id },
          preferences: readablePreferences(row),
        }));
      });
    },

    /**
     * Replaces them; what is the same already changes nothing. Throws what `check` throws for the version that is there.
     */
    async put(user: Reader, wanted: Rules, check: (version: number) => void): Promise<Preferences> {
      const encode = await encoder();
      const rules = normal(wanted);
      return inTenant(pool, user.tenant_id, async (client) => {
        const { before, at } = await locked(client, user);
        check(before.version);
        if (before.version > 0 && isSame(before.rules, rules)) {
          await noteSeen(client, user);
          return before;
        }
        const known = before.version === 0 ? [] : [{ from: before.from, rules: before.rules }];
        const history = [...known, ...before.history].slice(0, historyMax);
        const after = { version: before.version + 1, rules, from: at, history };
        await save(client, user, after);
        await changeWindows(client, user, after);
        await publish(client, user, after, encode);
        return after;
      });
    },

    /**
     * Notes that a user is here, and what his token says of his role: it decides what his digests count. Digests of who
     * has been away for long have ended; they begin again.
     */
    async seen(user: Reader): Promise<void> {
      await inTenant(pool, user.tenant_id, (client) => noteSeen(client, user));
    },
  };
}

async function noteSeen(client: Client, { tenant_id, user_id, is_staff }: Reader): Promise<void> {
  const { rows } = await client.query<{ rules: unknown; at: Date }>({
    name: 'preferences_seen',
    text: `UPDATE notifications.preference SET is_staff = $3, seen_at = now()
            WHERE tenant_id = $1 AND user_id = $2 AND (is_staff <> $3 OR seen_at < now() - interval '1 day')
            RETURNING rules, date_trunc('milliseconds', clock_timestamp()) AS at`,
    values: [tenant_id, user_id, is_staff],
  });
  const [row] = rows;
  if (row !== undefined)
    await beginWindow(client, { tenant_id, user_id }, rulesFrom(row.rules), row.at.getTime());
}

const columns = 'p.version, p.rules, p.history, p.updated_at';

/** The row, made when there is none, so that two first changes at once are one after the other too; and the time. */
async function locked(client: Client, { tenant_id, user_id, is_staff }: Reader) {
  await client.query({
    name: 'preferences_begin',
    text: `INSERT INTO notifications.preference
             (tenant_id, user_id, version, rules, unlisted, history, is_staff, updated_at)
           VALUES ($1, $2, 0, $3, '{}', '[]', $4, '-infinity')
           ON CONFLICT DO NOTHING`,
    values: [tenant_id, user_id, JSON.stringify(usualPreferences.rules), is_staff],
  });
  const { rows } = await client.query<{ version: number }>({
    name: 'preferences_lock',
    text: `SELECT ${columns} FROM notifications.preference p WHERE tenant_id = $1 AND user_id = $2 FOR UPDATE`,
    values: [tenant_id, user_id],
  });
  // Read once the row is ours: of two changes the later one has the later time. One clock for all: the database's.
  const clock = await client.query<{ at: Date }>(
    "SELECT date_trunc('milliseconds', clock_timestamp()) AS at",
  );
  const [row] = rows;
  const now = clock.rows[0]?.at.getTime() ?? 0;
  const before = row === undefined || row.version === 0 ? usualPreferences : preferencesFrom(row);
  return { before, at: Math.max(now, before.from + 1) };
}

async function save(client: Client, { tenant_id, user_id, is_staff }: Reader, after: Preferences) {
  const { version, rules, history, from } = after;
  await client.query({
    name: 'preferences_save',
    text: `UPDATE notifications.preference
              SET version = $3, rules = $4, unlisted = $5, history = $6, is_staff = $7, updated_at = $8,
                  seen_at = now()
            WHERE tenant_id = $1 AND user_id = $2`,
    values: [
      tenant_id,
      user_id,
      version,
      JSON.stringify(rules),
      unlistedKinds(rules),
      JSON.stringify(history),
      is_staff,
      new Date(from),
    ],
  });
}

/** Ends the window that runs, under the rules that it had, and begins one under the new ones. */
async function changeWindows(client: Client, { tenant_id, user_id }: User, { rules, from }: Preferences) {
  const end = from + overlapMs;
  await client.query({
    name: 'digest_windows_end',
    text: `UPDATE notifications.digest_window SET is_last = true, ends_at = $3, due_at = $4
            WHERE tenant_id = $1 AND user_id = $2 AND NOT is_last`,
    values: [tenant_id, user_id, new Date(end), new Date(afterQuiet(rules, end))],
  });
  await beginWindow(client, { tenant_id, user_id }, rules, from);
  const { rows } = await client.query<{ count: number; wait_s: number | null }>({
    name: 'digest_windows_count',
    text: `SELECT count(*) AS count,
                  ceil(extract(epoch FROM min(due_at) FILTER (WHERE is_last) - clock_timestamp()))::int AS wait_s
             FROM notifications.digest_window WHERE tenant_id = $1 AND user_id = $2`,
    values: [tenant_id, user_id],
  });
  if ((rows[0]?.count ?? 0) > windowsMax) {
    // Seconds by day, and until the morning where it is quiet.
    throw problem('rate_limited', 'The digests of your last changes are still to come.', {
      headers: { 'retry-after': String(Math.max(1, rows[0]?.wait_s ?? 0) + toldWithinS) },
    });
  }
}

/** Unless one runs, or nothing is held. */
async function beginWindow(client: Client, { tenant_id, user_id }: User, rules: Rules, at: number) {
  if (!holdsAnything(rules)) return;
  const ends = new Date(windowEnd(rules, at));
  await client.query({
    name: 'digest_windows_begin',
    text: `INSERT INTO notifications.digest_window (tenant_id, user_id, starts_at, ends_at, due_at, rules)
           VALUES ($1, $2, $3, $4, $4, $5)
           ON CONFLICT (tenant_id, user_id) WHERE NOT is_last DO NOTHING`,
    values: [tenant_id, user_id, new Date(at), ends, JSON.stringify(rules)],
  });
}

async function publish(client: Client, user: Reader, after: Preferences, encode: Encode): Promise<void> {
  const { tenant_id, user_id, is_staff } = user;
  const row = outboxRow(
    {
      event_id: nextId(),
      event_type: 'notification_preferences_changed',
      occurred_at: new Date(after.from).toISOString(),
      tenant_id,
      user_id,
      audience: 'user',
      while_staff: false,
      notification: null,
      preferences: shown(after, is_staff),
    },
    currentTraceparent(),
    encode,
  );
  await appendOutbox(client, 'notifications', [row]);
}
