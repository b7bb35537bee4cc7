/** Sessions, refresh tokens and tickets in Postgres. Locks are taken in one order: user, then session. */
import { type Client, inTenant, inTransaction, type Pool, setTenant } from '@ragline/postgres/pool';
import type { Role } from '@ragline/web/principal';
import { judgeRefresh, type RefreshDecision, type User } from './domain.ts';
import { lockFamily, rotate, successorOf } from './family.ts';
import type { Announce, RevocationReason } from './revocations.ts';
import { issuedAtColumn, type UserRow, userColumns, userFrom } from './rows.ts';
import { hashOf, newSecret } from './secrets.ts';

export type SessionPolicy = {
  /** A refresh token that nobody used for so long is worth nothing. */
  refreshTokenMs: number;
  /** After so long one has to sign in again, however busy the session is. */
  sessionMs: number;
};

/** What an access token is made of, and the refresh token that goes with it. */
export type Opened = { user: User; session_id: string; issued_at: number; refresh_token: string };
export type SessionRef = { tenant_id: string; user_id: string; session_id: string };
export type Refreshed =
  | ({ kind: 'rotate' | 'repeat' } & Opened)
  | { kind: 'reuse' }
  | Extract<RefreshDecision, { kind: 'refuse' }>
  | { kind: 'unknown' };

export type SessionStore = ReturnType<typeof sessionStore>;

export function sessionStore(pool: Pool, policy: SessionPolicy) {
  return {
    /** Who signs in under this address; undefined for an unknown tenant and an unknown user alike. */
    async findLogin(slug: string, email: string): Promise<Login | undefined> {
      const { rows } = await pool.query<Login>('SELECT * FROM identity.find_login($1, $2)', [slug, email]);
      return rows[0];
    },

    /**
     * Opens a session for a user whose password was checked; undefined when the user is not active, or was given
     * another password since.
     */
    open({ tenant_id, user_id, void_before }: Login): Promise<Opened | undefined> {
      return inTenant(pool, tenant_id, async (client) => {
        // Shared with other sign-ins, but not with a deactivation: either it sees this session, or we see it.
        const { rows } = await client.query<UserRow & { issued_at: number }>(
          `SELECT ${userColumns}, ${issuedAtColumn} FROM identity.user_account u
           WHERE u.id = $1 AND u.active AND u.tokens_void_before = $2::timestamptz FOR SHARE`,
          [user_id, void_before],
        );
        const [row] = rows;
        if (row === undefined) return undefined;
        const token = newSecret();
        const { rows: made } = await client.query<{ session_id: string }>(
          `WITH made AS (
             INSERT INTO identity.session (id, tenant_id, user_id, expires_at)
             VALUES (uuidv7(), $1, $2, clock_timestamp() + $3 * interval '1 ms') RETURNING id, expires_at
           )
           INSERT INTO identity.refresh_token (token_hash, tenant_id, session_id, expires_at)
           SELECT $4, $1, id, least(expires_at, clock_timestamp() + $5 * interval '1 ms') FROM made
           RETURNING session_id`,
          [tenant_id, user_id, policy.sessionMs, hashOf(token), policy.refreshTokenMs],
        );
        return {
          user: userFrom(row),
          issued_at: row.issued_at,
          session_id: one(made).session_id,
          refresh_token: token,
        };
      });
    },

    /** Stores the same password under today's cost; nothing when it was changed meanwhile. */
    async rehash({ tenant_id, user_id, password_hash }: Login, newHash: string): Promise<void> {
      await inTenant(pool, tenant_id, (client) =>
        client.query(
          'UPDATE identity.user_account SET password_hash = $3 WHERE id = $1 AND password_hash = $2',
          [user_id, password_hash, newHash],
        ),
      );
    },

    /** Uses a refresh token. What it leads to is decided by judgeRefresh; a reuse ends the session here. */
    async refresh(token: string, announce: Announce): Promise<Refreshed> {
      const tenantId = await tenantOf(pool, token);
      if (tenantId === undefined) return { kind: 'unknown' };
      return inTenant(pool, tenantId, async (client) => {
        const found = await lockFamily(client, token);
        if (found === undefined) return { kind: 'unknown' };
        const decision = judgeRefresh(found.state);
        const { user, issued_at, session_id } = found;
        switch (decision.kind) {
          case 'rotate': {
            const refresh_token = await rotate(client, token, found, policy.refreshTokenMs);
            return { kind: 'rotate', user, issued_at, session_id, refresh_token };
          }
          case 'repeat':
            return { kind: 'repeat', user, issued_at, session_id, refresh_token: successorOf(token, found) };
          case 'reuse':
            await endSession(
              client,
              { tenant_id: tenantId, user_id: user.id, session_id },
              'reuse',
              announce,
            );
            return decision;
          case 'refuse':
            return decision;
        }
      });
    },

    /** Ends a session; false when it was over already. */
    end(session: SessionRef, reason: RevocationReason, announce: Announce): Promise<boolean> {
      return inTenant(pool, session.tenant_id, (client) => endSession(client, session, reason, announce));
    },

    /** The session of a refresh token, whatever the token is still worth. */
    async sessionOf(token: string): Promise<SessionRef | undefined> {
      const tenantId = await tenantOf(pool, token);
      if (tenantId === undefined) return undefined;
      return inTenant(pool, tenantId, async (client) => {
        const { rows } = await client.query<SessionRef>(
          `SELECT s.tenant_id, s.user_id, s.id AS session_id FROM identity.refresh_token t
           JOIN identity.session s ON s.id = t.session_id WHERE t.token_hash = $1`,
          [hashOf(token)],
        );
        return rows[0];
      });
    },

    /** The user of an open session, and the tenant's slug; undefined when it has ended. */
    userOf(session: SessionRef): Promise<{ user: User; tenant_slug: string } | undefined> {
      return inTenant(pool, session.tenant_id, async (client) => {
        const { rows } = await client.query<UserRow & { tenant_slug: string }>(
          `SELECT ${userColumns}, t.slug AS tenant_slug ${fromOpenSession}
           JOIN identity.tenant t ON t.id = u.tenant_id WHERE s.id = $1 AND u.id = $2`,
          [session.session_id, session.user_id],
        );
        const [row] = rows;
        return row && { user: userFrom(row), tenant_slug: row.tenant_slug };
      });
    },

    /** Makes a ticket for an open session; undefined when it has ended. */
    ticket(session: SessionRef, seconds: number): Promise<string | undefined> {
      return inTenant(pool, session.tenant_id, async (client) => {
        const ticket = newSecret();
        const { rowCount } = await client.query(
          `INSERT INTO identity.ticket (token_hash, tenant_id, user_id, session_id, expires_at)
           SELECT $3, u.tenant_id, u.id, s.id, clock_timestamp() + $4 * interval '1 s' ${fromOpenSession}
           WHERE s.id = $1 AND u.id = $2`,
          [session.session_id, session.user_id, hashOf(ticket), seconds],
        );
        return rowCount === 1 ? ticket : undefined;
      });
    },

    /** Uses a ticket up; undefined when it is unknown, used, too old, or its session has ended. */
    redeem(ticket: string): Promise<Omit<Opened, 'refresh_token'> | undefined> {
      return inTransaction(pool, async (client) => {
        const { rows } = await client.query<SessionRef>('SELECT * FROM identity.take_ticket($1)', [
          hashOf(ticket),
        ]);
        const [taken] = rows;
        if (taken === undefined) return undefined;
        await setTenant(client, taken.tenant_id);
        const { rows: found } = await client.query<UserRow & { issued_at: number }>(
          `SELECT ${userColumns}, ${issuedAtColumn} ${fromOpenSession} WHERE s.id = $1 AND u.id = $2`,
          [taken.session_id, taken.user_id],
        );
        const [row] = found;
        return row && { user: userFrom(row), issued_at: row.issued_at, session_id: taken.session_id };
      });
    },

    /** Removes what has expired, in steps of so many rows of a kind; returns how many rows. */
    async sweep(rowsAtOnce: number): Promise<number> {
      let swept = 0;
      for (;;) {
        const { rows } = await pool.query<{ swept: number }>('SELECT identity.sweep($1) AS swept', [
          rowsAtOnce,
        ]);
        const count = rows[0]?.swept ?? 0;
        swept += count;
        // Fewer of all kinds together than of one alone may go: nothing was left behind.
        if (count < rowsAtOnce) return swept;
      }
    },
  };
}

export type Login = { tenant_id: string; user_id: string; password_hash: string; void_before: string };

const fromOpenSession = `FROM identity.session s JOIN identity.user_account u
  ON u.id = s.user_id AND u.active AND s.revoked_at IS NULL AND s.expires_at > clock_timestamp()`;

async function tenantOf(pool: Pool, token: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ tenant_id: string | null }>(
    'SELECT identity.tenant_of_refresh_token($1) AS tenant_id',
    [hashOf(token)],
  );
  return rows[0]?.tenant_id ?? undefined;
}

async function endSession(
  client: Client,
  { tenant_id, user_id, session_id }: SessionRef,
  reason: RevocationReason,
  announce: Announce,
): Promise<boolean> {
  const { rows } = await client.query<{ revoked_at: Date }>(
    `UPDATE identity.session SET revoked_at = clock_timestamp(), revoked_reason = $3
     WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING revoked_at`,
    [session_id, user_id, reason],
  );
  const [row] = rows;
  if (row === undefined) return false;
  await announce(client, { tenant_id, user_id, session_id, occurred_at: row.revoked_at, reason });
  return true;
}

/** A user's roles as they are now, if the session that asks is still open. */
export async function openSession(
  client: Client,
  { session_id, user_id }: SessionRef,
): Promise<{ roles: Role[]; tenant_slug: string } | undefined> {
  const { rows } = await client.query<{ roles: Role[]; tenant_slug: string }>(
    `SELECT u.roles, t.slug AS tenant_slug ${fromOpenSession}
     JOIN identity.tenant t ON t.id = u.tenant_id WHERE s.id = $1 AND u.id = $2`,
    [session_id, user_id],
  );
  return rows[0];
}

function one<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('A row was expected');
  return row;
}
