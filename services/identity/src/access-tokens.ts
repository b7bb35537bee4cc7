/** Access tokens: JWTs as of RFC 9068, signed with ES256. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Role } from '@ragline/web/principal';
import { type JWTPayload, SignJWT } from 'jose';
import type { KeyRing } from './key-ring.ts';

/** 15 minutes: for so long a revocation must be remembered by whoever verifies. */
export const accessTokenSeconds = 900;

export type Grant = {
  user_id: string;
  tenant_id: string;
  roles: readonly Role[];
  session_id: string;
  /** Whole seconds since 1970, by the database's clock; see tokens_void_before. */
  issued_at: number;
};

/** What somebody else does in a user's name. */
export type DelegatedGrant = Omit<Grant, 'session_id'> & { actor: string; seconds: number };

export type AccessTokens = ReturnType<typeof accessTokens>;

export function accessTokens({
  keys,
  issuer,
  audience,
}: {
  keys: KeyRing;
  issuer: string;
  audience: string;
}) {
  return {
    /** A signed token for this grant. */
    issue(grant: Grant): Promise<string> {
      return sign(grant, { sid: grant.session_id }, accessTokenSeconds);
    },

    /** A token by which `actor` acts as the user (RFC 8693). Its session is none that there is: it opens no other door. */
    issueDelegated(grant: DelegatedGrant): Promise<string> {
      return sign(grant, { sid: randomUUID(), act: { sub: grant.actor } }, grant.seconds);
    },
  };

  function sign(
    { user_id, tenant_id, roles, issued_at }: Omit<Grant, 'session_id'>,
    claims: JWTPayload,
    seconds: number,
  ): Promise<string> {
    const { kid, privateKey } = keys.current();
    return new SignJWT({ tenant_id, roles: [...roles], ...claims })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(user_id)
      .setJti(randomUUIDv7())
      .setIssuedAt(issued_at)
      .setExpirationTime(issued_at + seconds)
      .sign(privateKey);
  }
}
