/** The same POST twice has one effect and one answer (IETF draft, Idempotency-Key). */
import { createHash } from 'node:crypto';
import type { Answer } from './api.ts';
import type { Principal } from './principal.ts';
import { problem } from './problems.ts';

export type StoredAnswer = { status: number; headers?: Record<string, string>; body: unknown };
export type IdempotencyEntry = {
  tenant_id: string;
  user_id: string;
  /** Without a key the effect happens, and nothing is remembered. */
  key: string | undefined;
  request_hash: string;
};
export type IdempotencyResult =
  | { state: 'first' | 'replayed'; answer: StoredAnswer }
  | { state: 'reused' }
  | { state: 'in_progress' };

/**
 * Remembers answers. `once` does the effect and remembers its answer in one transaction, whose client it hands to
 * `run`: a crash leaves both or neither. When `run` throws, nothing is remembered.
 */
export type IdempotencyStore<Client> = {
  once(entry: IdempotencyEntry, run: (client: Client) => Promise<StoredAnswer>): Promise<IdempotencyResult>;
};

export type IdempotentOptions<Client> = {
  store: IdempotencyStore<Client>;
  principal: Pick<Principal, 'tenant_id' | 'user_id'>;
  key: string | undefined;
  /** From hashRequest. */
  requestHash: string;
};

/**
 * Runs a POST once per key. The same request again gets the first answer and `Idempotent-Replayed: true`;
 * another request under the same key is a problem `idempotency_key_reused`, a twin under way `request_in_progress`.
 */
export async function idempotent<Client>(
  { store, principal, key, requestHash }: IdempotentOptions<Client>,
  run: (client: Client) => Promise<StoredAnswer>,
): Promise<Answer> {
  const { tenant_id, user_id } = principal;
  const result = await store.once({ tenant_id, user_id, key, request_hash: requestHash }, run);
  switch (result.state) {
    case 'first':
      return result.answer;
    case 'replayed':
      return { ...result.answer, headers: { ...result.answer.headers, 'idempotent-replayed': 'true' } };
    case 'reused':
      throw problem('idempotency_key_reused');
    case 'in_progress':
      throw problem('request_in_progress', undefined, { headers: { 'retry-after': '1' } });
  }
}

/** A hash of what makes two requests the same, whatever the order of their fields. */
export function hashRequest(method: string, path: string, body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([method, path, sorted(body)]))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
