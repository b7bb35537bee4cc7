/** The signing keys as one instance holds them: opened, published, and looked after in the background. */
import type { Logger } from '@ragline/runtime/logger';
import type { KeySource } from '@ragline/web/jwks';
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import { type KeyPolicy, planKeys, signingKey } from './key-plan.ts';
import type { KeyStore, NewKey, StoredKey } from './key-store.ts';
import { open, seal } from './secrets.ts';

const algorithm = 'ES256';
const purpose = 'signing key';

type OpenedKey = {
  kid: string;
  signs_from: Date;
  public_jwk: JWK;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
};

export type KeyRing = {
  /** The key that signs now. Throws when none is loaded, which start-up rules out. */
  current(): { kid: string; privateKey: CryptoKey };
  /** The public keys, those that signed, sign and will sign: what /.well-known/jwks.json answers. */
  publicKeys(): { keys: JWK[] };
  /** For verifying at home, without a request to ourselves. */
  source: KeySource;
  stop(): void;
};

export type KeyRingOptions = {
  store: KeyStore;
  secret: string;
  policy: KeyPolicy;
  /** How often keys are read again; far below leadMs, so that a new key is known here long before it signs. */
  refreshMs: number;
  log: Logger;
};

/** Loads the keys, making the first ones when there are none. Throws when they do not open with the secret. */
export async function startKeyRing({
  store,
  secret,
  policy,
  refreshMs,
  log,
}: KeyRingOptions): Promise<KeyRing> {
  let keys: OpenedKey[] = [];
  // The database's clock decides when a key begins; this is how far ours is from it.
  let clockOffsetMs = 0;

  const load = async (): Promise<void> => {
    const read = async () => {
      const { keys: stored, now } = await store.read();
      clockOffsetMs = stored.length > 0 ? now.getTime() - Date.now() : 0;
      return { stored, plan: planKeys(stored, now, policy) };
    };
    let { stored, plan } = await read();
    if (plan.make.length > 0 || plan.remove.length > 0) {
      await store.carryOut(
        (those, now) => planKeys(those, now, policy),
        () => newKey(secret),
      );
      ({ stored, plan } = await read());
      log.info('signing keys changed', { kids: stored.map(({ kid }) => kid) });
    }
    const known = new Map(keys.map((key) => [key.kid, key]));
    const opened: OpenedKey[] = [];
    for (const key of stored) {
      const held = known.get(key.kid);
      opened.push(held === undefined ? await openKey(key, secret) : { ...held, signs_from: key.signs_from });
    }
    keys = opened;
  };

  await load();

  const timer = setInterval(() => {
    load().catch((error: unknown) => log.warn('signing keys could not be read again', { error }));
  }, refreshMs);
  timer.unref();

  return {
    current() {
      const key = signingKey(keys, new Date(Date.now() + clockOffsetMs));
      if (key === undefined) throw new Error('There is no signing key');
      return key;
    },
    publicKeys: () => ({ keys: keys.map(({ public_jwk }) => public_jwk) }),
    source: {
      keyFor: async ({ kid }) => keys.find((key) => key.kid === kid)?.publicKey,
      stateOf: (kid) => (keys.some((key) => key.kid === kid) ? 'there' : 'withdrawn'),
    },
    stop: () => clearInterval(timer),
  };
}

async function newKey(secret: string): Promise<NewKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  // A kid that follows from the key (RFC 7638) cannot be given to another one.
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    kid,
    public_jwk: { ...publicJwk, kid, alg: algorithm, use: 'sig' },
    private_sealed: seal(JSON.stringify(await exportJWK(privateKey)), secret, purpose, kid),
  };
}

async function openKey(
  { kid, signs_from, public_jwk, private_sealed }: StoredKey,
  secret: string,
): Promise<OpenedKey> {
  let text: string;
  try {
    text = open(private_sealed, secret, purpose, kid);
  } catch (cause) {
    throw new Error(
      `Signing key ${kid} does not open: KEY_ENCRYPTION_SECRET is not the one it was sealed with`,
      {
        cause,
      },
    );
  }
  const privateKey = await importKey(JSON.parse(text));
  const publicKey = await importKey(public_jwk);
  return { kid, signs_from, public_jwk, privateKey, publicKey };
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, algorithm, { extractable: false });
  if (key instanceof Uint8Array) throw new TypeError('A signing key is no asymmetric key');
  return key;
}
