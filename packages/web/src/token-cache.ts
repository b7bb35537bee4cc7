/** Tokens that were verified, until they end: an ES256 check costs more than the rest of a request's overhead. */
import type { Principal } from './principal.ts';

export function createTokenCache({ entriesMax = 10_000, now = Date.now } = {}) {
  // A Map keeps the order of insertion, so the first entry was verified first and ends soonest: it goes when full.
  const entries = new Map<string, Principal>();

  return {
    get(token: string): Principal | undefined {
      const principal = entries.get(token);
      if (principal === undefined) return undefined;
      if (principal.expires_at > now()) return principal;
      entries.delete(token);
      return undefined;
    },

    set(token: string, principal: Principal): void {
      entries.delete(token);
      entries.set(token, principal);
      if (entries.size <= entriesMax) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        break;
      }
    },

    size: (): number => entries.size,
  };
}
