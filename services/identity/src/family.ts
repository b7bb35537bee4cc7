/** The family of refresh tokens that descend from one sign-in, as the database has it. */
import type { Client } from '@ragline/postgres/pool';
import type { judgeRefresh, User } from './domain.ts';
import { issuedAtColumn, type UserRow, userColumns, userFrom } from './rows.ts';
import { hashOf, newSecret, open, seal } from './secrets.ts';

const successorPurpose = 'successor of a refresh token';

/** A refresh token with its session and user, locked for a decision. */
export type Family = {
  user: User;
  issued_at: number;
  session_id: string;
  successor_sealed: Buffer | null;
  state: Parameters<typeof judgeRefresh>[0];
};

/**
 * Locks the session of a token, so that uses of the family on any instance come one after the other, and reads
 * everything anew behind the lock.
 */
export async function lockFamily(client: Client, token: string): Promise<Family | undefined> {
  const hash = hashOf(token);
  const { rows: users } = await client.query<UserRow & { issued_at: number; session_id: string }>(
    `SELECT ${userColumns}, ${issuedAtColumn}, s.id AS session_id
     FROM identity.refresh_token t JOIN identity.session s ON s.id = t.session_id
     JOIN identity.user_account u ON u.id = s.user_id WHERE t.token_hash = $1 FOR SHARE OF u`,
    [hash],
  );
  const [user] = users;
  if (user === undefined) return undefined;
  const { rows: sessions } = await client.query<{ revoked: boolean; expires_at: Date }>(
    `SELECT revoked_at IS NOT NULL AS revoked, expires_at FROM identity.session WHERE id = $1
     FOR NO KEY UPDATE`,
    [user.session_id],
  );
  // A statement of its own: one that joined them would show the tokens as they were before the lock.
  const { rows: tokens } = await client.query<TokenRow>(
    `SELECT t.expires_at, t.rotated_at, t.successor_sealed, next.rotated_at IS NOT NULL AS successor_used,
       clock_timestamp() AS now
     FROM identity.refresh_token t
     LEFT JOIN identity.refresh_token next ON next.token_hash = t.successor_hash
     WHERE t.token_hash = $1`,
    [hash],
  );
  const [session] = sessions;
  const [row] = tokens;
  if (session === undefined || row === undefined) return undefined;
  const { now, expires_at, rotated_at, successor_used: successorUsed, successor_sealed } = row;
  return {
    user: userFrom(user),
    issued_at: user.issued_at,
    session_id: user.session_id,
    successor_sealed,
    state: { now, session, user: { active: user.active }, token: { expires_at, rotated_at }, successorUsed },
  };
}

type TokenRow = {
  expires_at: Date;
  rotated_at: Date | null;
  successor_sealed: Buffer | null;
  successor_used: boolean;
  now: Date;
};

/** Marks the token used and makes its successor, readable again only by who shows this token. */
export async function rotate(
  client: Client,
  token: string,
  { user, session_id, state }: Family,
  refreshTokenMs: number,
): Promise<string> {
  const successor = newSecret();
  const sealed = seal(successor, token, successorPurpose, session_id);
  await client.query(
    `INSERT INTO identity.refresh_token (token_hash, tenant_id, session_id, expires_at)
     VALUES ($1, $2, $3, least($4::timestamptz, clock_timestamp() + $5 * interval '1 ms'))`,
    [hashOf(successor), user.tenant_id, session_id, state.session.expires_at, refreshTokenMs],
  );
  await client.query(
    `UPDATE identity.refresh_token SET rotated_at = clock_timestamp(), successor_hash = $2, successor_sealed = $3
     WHERE token_hash = $1`,
    [hashOf(token), hashOf(successor), sealed],
  );
  // The token before this one may not repeat any more, so what it could open is removed.
  await client.query(
    `UPDATE identity.refresh_token SET successor_sealed = NULL
     WHERE session_id = $1 AND successor_hash = $2 AND successor_sealed IS NOT NULL`,
    [session_id, hashOf(token)],
  );
  return successor;
}

/** The successor that was made when the token was first used. Throws when it is not kept any more. */
export function successorOf(token: string, { successor_sealed, session_id }: Family): string {
  if (successor_sealed === null) throw new Error('The successor of a refresh token was removed too early');
  return open(successor_sealed, token, successorPurpose, session_id);
}
