/** Who is to be erased: found by address or id, and locked out before anything of the person goes. */
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox } from '@ragline/postgres/outbox';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';

export type Person = {
  tenant_id: string;
  tenant: string;
  user_id: string;
  /** Null: an earlier run has removed the account already, and what is left is found by the id. */
  email: string | null;
  is_last_admin: boolean;
};

/** As long as identity's access tokens last, and a minute for clocks that differ: so long a verifier remembers. */
const rememberedMs = 960_000;

/**
 * The user of that tenant (its slug), by address or id; by the id also after the account is gone. Throws an Error that
 * says what is not there.
 */
export async function findPerson(pool: Pool, tenant: string, user: string): Promise<Person> {
  const named = user.trim().normalize('NFC').toLowerCase();
  const { rows: tenants } = await pool.query<{ id: string }>(
    'SELECT id FROM identity.tenant WHERE slug = $1',
    [tenant],
  );
  const [found] = tenants;
  if (found === undefined) throw new Error(`There is no tenant ${tenant}`);
  const { rows } = await pool.query<Omit<Person, 'tenant'>>(
    `SELECT u.tenant_id, u.id AS user_id, u.email,
            'admin' = ANY (u.roles) AND u.active AND NOT EXISTS (
              SELECT FROM identity.user_account o
               WHERE o.tenant_id = u.tenant_id AND o.id <> u.id AND o.active AND 'admin' = ANY (o.roles)) AS is_last_admin
       FROM identity.user_account u WHERE u.tenant_id = $1 AND (u.email = $2 OR u.id::text = $2)`,
    [found.id, named],
  );
  const [person] = rows;
  if (person !== undefined) return { ...person, tenant };
  const { rows: erased } = await pool.query<{ user_id: string }>(
    'SELECT user_id FROM ops.erasure WHERE tenant_id = $1 AND user_id::text = $2 LIMIT 1',
    [found.id, named],
  );
  if (erased[0] !== undefined) {
    return { tenant, tenant_id: found.id, user_id: erased[0].user_id, email: null, is_last_admin: false };
  }
  throw new Error(`The tenant ${tenant} has no user ${user}; one whose account is gone is named by its id`);
}

/**
 * What names the person: the address, and what the operator adds. Throws an Error where nobody knows the address any more:
 * garbage and letters that only it leads to would not be found, and the outcome would say that nothing is left.
 */
export function textsOf(
  { email, user_id }: Pick<Person, 'email' | 'user_id'>,
  added: readonly string[],
): string[] {
  if (email !== null) return [email, ...added];
  if (added.length > 0) return [...added];
  throw new Error(`The account of ${user_id} is gone, and its address with it: give the address as --text`);
}

/** Closes the account, ends its sessions and tells everyone who verifies tokens; the id of the event that does. */
export async function lockOut(pool: Pool, codec: Codec, person: Person): Promise<string> {
  const { tenant_id, user_id } = person;
  // Before the transaction: nobody's refresh waits for the registry.
  const encode = await codec.encoder('revocation_v1');
  const event_id = randomUUIDv7();
  await inTenant(pool, tenant_id, async (client) => {
    const { rows } = await client.query<{ at: Date | null }>('SELECT identity.lock_out($1, $2) AS at', [
      tenant_id,
      user_id,
    ]);
    const at = rows[0]?.at;
    if (!at) throw new Error(`The user ${user_id} is gone`);
    const event_type = 'user_revoked';
    const payload = encode({
      event_id,
      event_type,
      occurred_at: at.toISOString(),
      tenant_id,
      user_id,
      session_id: null,
      valid_until: new Date(at.getTime() + rememberedMs).toISOString(),
    });
    const traceparent = currentTraceparent();
    const row = { id: event_id, topic: topics.revocations.name, key: user_id, event_type };
    await appendOutbox(client, 'identity', [{ ...row, tenant_id, user_id, traceparent, payload }]);
  });
  return event_id;
}
