/** Makes tenants and users from outside, where nobody is signed in yet. Doing it again changes nothing. */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Role } from '@ragline/web/principal';
import { hashPassword, verifyPassword } from './passwords.ts';

export type UserDraft = { id: string; email: string; name: string; roles: Role[]; password: string };
export type TenantDraft = { id: string; slug: string; name: string; users: UserDraft[] };

/** `password changed`: the user was there, and has the draft's password now. */
export type Outcome = 'made' | 'password changed' | 'there';

/**
 * What came of each user. Throws when the slug belongs to a tenant with another id.
 *
 * Users have the draft's ids where the tenant is made with them. One who is missing later was removed, or erased, and what
 * is kept under that id is not for whoever has the address next: the account is a new one.
 */
export function provision(
  pool: Pool,
  { id, slug, name, users }: TenantDraft,
): Promise<Record<Outcome, number>> {
  return inTenant(pool, id, async (client) => {
    const { rowCount: made } = await client.query(
      'INSERT INTO identity.tenant (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING',
      [id, slug, name],
    );
    const counts: Record<Outcome, number> = { made: 0, 'password changed': 0, there: 0 };
    for (const user of users) {
      const draft = made === 1 ? user : { ...user, id: randomUUIDv7() };
      counts[await provisionUser(client, id, draft)] += 1;
    }
    return counts;
  });
}

async function provisionUser(client: Client, tenantId: string, user: UserDraft): Promise<Outcome> {
  const { rows } = await client.query<{ id: string; password_hash: string }>(
    'SELECT id, password_hash FROM identity.user_account WHERE tenant_id = $1 AND email = $2 FOR NO KEY UPDATE',
    [tenantId, user.email],
  );
  const [known] = rows;
  if (known === undefined) {
    await client.query(
      `INSERT INTO identity.user_account (id, tenant_id, email, name, roles, password_hash)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [user.id, tenantId, user.email, user.name, user.roles, await hashPassword(user.password)],
    );
    return 'made';
  }
  if ((await verifyPassword(user.password, known.password_hash)).matches) return 'there';
  // Sessions go on: whoever runs this has the machine, and chose another password for it.
  await client.query(
    'UPDATE identity.user_account SET password_hash = $2, updated_at = clock_timestamp() WHERE id = $1',
    [known.id, await hashPassword(user.password)],
  );
  return 'password changed';
}
