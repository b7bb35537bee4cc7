/** The signing keys of identity: fetched, kept while identity is away, refreshed when a new key shows up. */
import {
  type CryptoKey,
  createLocalJWKSet,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';

export type KeySource = {
  /** The key for a token's header, or undefined when none has that kid. Throws KeysUnavailableError. */
  keyFor(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey | undefined>;
  /**
   * Whether a key that was there once still is: `unknown` when the set is so old that it has to be read first, by keyFor.
   * Asked for each token that is remembered, so that a withdrawn key's tokens end too.
   */
  stateOf(kid: string): 'there' | 'withdrawn' | 'unknown';
};

/** No key was ever fetched: no token can be judged, which is nobody's fault but ours. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

export type KeySourceOptions = {
  jwksUrl: string;
  /** After so long the set is read again beside the next use, after twice as long before it: a withdrawn key goes. */
  refreshAfterMs?: number;
  /** At most one fetch in this time for unknown kids: anybody can invent those. */
  cooldownMs?: number;
  now?: () => number;
};

type KeySet = { kids: ReadonlySet<string>; find: ReturnType<typeof createLocalJWKSet>; fetchedAt: number };

export function createKeySource(options: KeySourceOptions): KeySource {
  const { jwksUrl, refreshAfterMs = 15_000, cooldownMs = 5_000, now = Date.now } = options;
  let keys: KeySet | undefined;
  let failure: unknown;
  let triedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const fetchKeys = async () => {
    triedAt = now();
    try {
      keys = { ...(await readKeySet(jwksUrl)), fetchedAt: now() };
      failure = undefined;
    } catch (error) {
      failure = error;
    } finally {
      running = undefined;
    }
  };
  const refresh = (cooldown: number): Promise<void> => {
    if (running === undefined && now() - triedAt >= cooldown) running = fetchKeys();
    return running ?? Promise.resolve();
  };

  /** Begins to read an old set anew; true for one so old that its answer counts. While identity is away nobody waits. */
  const mustWait = ({ fetchedAt }: KeySet): boolean => {
    const ageMs = now() - fetchedAt;
    if (ageMs >= refreshAfterMs) void refresh(cooldownMs);
    return ageMs >= 2 * refreshAfterMs && running !== undefined && failure === undefined;
  };

  return {
    async keyFor(header, token) {
      const { kid } = header;
      if (kid === undefined) return undefined;
      // Without any key every caller waits, so try often; identity is probably just starting.
      if (keys === undefined) await refresh(Math.min(cooldownMs, 500));
      else if (!keys.kids.has(kid)) await refresh(cooldownMs);
      else if (mustWait(keys)) await running;
      if (keys === undefined) throw new KeysUnavailableError('No signing keys', { cause: failure });
      return keys.kids.has(kid) ? await keys.find(header, token) : undefined;
    },
    stateOf(kid) {
      if (keys === undefined) return 'unknown';
      const isOld = mustWait(keys);
      if (!keys.kids.has(kid)) return 'withdrawn';
      return isOld ? 'unknown' : 'there';
    },
  };
}

async function readKeySet(url: string): Promise<Omit<KeySet, 'fetchedAt'>> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(3_000), redirect: 'error' });
  if (!answer.ok) throw new Error(`The key set answered ${answer.status}`);
  const document: unknown = await answer.json();
  if (!isKeySet(document)) throw new Error('The key set has no list of keys');
  const usable = document.keys.filter(
    (key) =>
      key.kty === 'EC' && key.crv === 'P-256' && typeof key.kid === 'string' && (key.use ?? 'sig') === 'sig',
  );
  if (usable.length === 0) throw new Error('The key set has no usable key');
  return {
    kids: new Set(usable.flatMap(({ kid }) => kid ?? [])),
    find: createLocalJWKSet({ keys: usable }),
  };
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  if (typeof value !== 'object' || value === null || !('keys' in value)) return false;
  return Array.isArray(value.keys) && value.keys.every((key) => typeof key === 'object' && key !== null);
}
