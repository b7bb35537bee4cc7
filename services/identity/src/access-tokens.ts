/** Access tokens: JWTs as of RFC 9068, signed with ES256. */
import { randomUUIDv7 } from 'node:crypto';
import type { Role } from '@ragline/web/principal';
import { SignJWT } from 'jose';
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
      const { kid, privateKey } = keys.current();
      return new SignJWT({ tenant_id: grant.tenant_id, roles: [...grant.roles], sid: grant.session_id })
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(grant.user_id)
        .setJti(randomUUIDv7())
        .setIssuedAt(grant.issued_at)
        .setExpirationTime(grant.issued_at + accessTokenSeconds)
        .sign(privateKey);
    },
  };
}
