/**
 * Tokens of users for the assistant: an answer may come long after its question, when no token of the user's own is at
 * hand, and what it does then, it does with the rights that the user has at that moment.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Role } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import type { AccessTokens } from './access-tokens.ts';
import { issuedAtColumn } from './rows.ts';

/** Long enough for one call of a service, and short enough that nobody needs to revoke it. */
export const delegatedTokenSeconds = 60;

/** Who acts; claim `act` of the tokens (RFC 8693). */
const actor = 'chat';

export type Delegation = ReturnType<typeof delegation>;

export function delegation({
  pool,
  tokens,
  secret,
}: {
  pool: Pool;
  tokens: AccessTokens;
  /** What the assistant shows; the same in its own settings. */
  secret: string;
}) {
  const expected = digestOf(secret);

  return {
    /**
     * A token of that user for the bearer of the secret (the whole Authorization header).
     *
     * Throws Problem `unauthenticated` for another secret, and `forbidden` for whoever is not an active user of the tenant:
     * the same for one who is disabled and one who is not there.
     */
    async tokenFor(
      authorization: string | undefined,
      { tenant_id, user_id }: { tenant_id: string; user_id: string },
    ): Promise<{ access_token: string; expires_in: number }> {
      // Digests are of one length, so that the time of comparing tells nothing of the secret, its length included.
      const shown = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
      if (!timingSafeEqual(digestOf(shown), expected)) throw problem('unauthenticated');
      const found = await activeUser(tenant_id, user_id);
      // An operator's rights are over all tenants: nothing that a customer's text could reach acts with them.
      const roles = found?.roles.filter((role) => role !== 'operator') ?? [];
      if (found === undefined || roles.length === 0)
        throw problem('forbidden', 'Nobody acts for this user at the moment.');
      const access_token = await tokens.issueDelegated({
        user_id,
        tenant_id,
        roles,
        issued_at: found.issued_at,
        actor,
        seconds: delegatedTokenSeconds,
      });
      return { access_token, expires_in: delegatedTokenSeconds };
    },
  };

  function activeUser(tenantId: string, userId: string) {
    return inTenant(pool, tenantId, async (client) => {
      const { rows } = await client.query<{ roles: Role[]; issued_at: number }>({
        name: 'ragline_delegated_user',
        text: `SELECT u.roles, ${issuedAtColumn} FROM identity.user_account u WHERE u.id = $1 AND u.tenant_id = $2 AND u.active`,
        values: [userId, tenantId],
      });
      return rows[0];
    });
  }
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();
