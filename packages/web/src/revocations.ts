/** What is no longer valid though it has not expired: sessions that ended, users whose tokens were taken back. */
import type { Principal } from './principal.ts';

export type Revocation = {
  tenant_id: string;
  user_id: string;
  /** Null: everything of the user that was issued before `occurredAt`. */
  session_id: string | null;
  /** Both in ms since 1970. */
  occurredAt: number;
  validUntil: number;
};

type Bearer = Pick<Principal, 'tenant_id' | 'user_id' | 'session_id' | 'issued_at'>;

/** Reads a value of `identity.revocations.v1`; undefined for what is none. */
export function revocationFrom(value: unknown): Revocation | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { tenant_id, user_id, session_id, occurred_at, valid_until }: Partial<Record<string, unknown>> = {
    ...value,
  };
  if (typeof tenant_id !== 'string' || typeof user_id !== 'string') return undefined;
  if (session_id !== null && typeof session_id !== 'string') return undefined;
  const occurredAt = Date.parse(String(occurred_at));
  const validUntil = Date.parse(String(valid_until));
  if (Number.isNaN(occurredAt) || Number.isNaN(validUntil)) return undefined;
  return { tenant_id, user_id, session_id, occurredAt, validUntil };
}

export function revokes(revocation: Revocation, bearer: Bearer): boolean {
  if (bearer.user_id !== revocation.user_id || bearer.tenant_id !== revocation.tenant_id) return false;
  if (revocation.session_id !== null) return bearer.session_id === revocation.session_id;
  return bearer.issued_at < revocation.occurredAt;
}

/** Holds what is valid still, and nothing longer. */
export function createRevocations({ now }: { now: () => number }) {
  const byUser = new Map<string, Revocation[]>();
  const nameOf = (of: { tenant_id: string; user_id: string }) => `${of.tenant_id} ${of.user_id}`;

  return {
    add(revocation: Revocation): void {
      if (revocation.validUntil <= now()) return;
      const name = nameOf(revocation);
      const kept = (byUser.get(name) ?? []).filter((it) => it.validUntil > now());
      byUser.set(name, [...kept, revocation]);
    },
    isRevoked: (bearer: Bearer): boolean =>
      (byUser.get(nameOf(bearer)) ?? []).some((it) => it.validUntil > now() && revokes(it, bearer)),
    /** Called now and then. */
    prune(): void {
      for (const [name, held] of byUser) {
        if (held.every((it) => it.validUntil <= now())) byUser.delete(name);
      }
    },
    size: () => byUser.size,
  };
}

export type Revocations = ReturnType<typeof createRevocations>;
