/** Secrets of endpoints: made here, shown once, kept sealed. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Seals and opens; `context` binds what is sealed to its row, so that it opens nowhere else. */
export type SecretKeys = {
  seal(secret: string, context: string): string;
  /** Throws for what these keys have not sealed for that context. */
  open(sealed: string, context: string): string;
};

const secretBytes = 32;
const keyCharsMin = 32;
const ivBytes = 12;
const tagBytes = 16;

/** `whsec_` and base64, as Standard Webhooks write a secret for HMAC. */
export function newSecret(): string {
  return `whsec_${randomBytes(secretBytes).toString('base64')}`;
}

/** What is wrong with the setting; empty when nothing is. */
export function keysFaults(keys: string): string[] {
  const entries = entriesOf(keys);
  if (entries === undefined)
    return [`WEBHOOK_KEYS has entries like id:secret, secrets of ${keyCharsMin} characters or more`];
  return entries.size === 0 ? ['WEBHOOK_KEYS has an id twice, or none'] : [];
}

/**
 * @param keys the setting WEBHOOK_KEYS: `id:secret,…`. The first seals, all open: to change the key, put the new one in
 *   front on every instance; the old one can go when no secret is left that it sealed. Throws RangeError for a faulty one.
 */
export function createSecretKeys(keys: string): SecretKeys {
  const [fault] = keysFaults(keys);
  const byId = entriesOf(keys);
  const [sealing] = byId ?? [];
  if (fault !== undefined || byId === undefined || sealing === undefined) throw new RangeError(fault);

  return {
    seal(secret, context) {
      const [id, key] = sealing;
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return `${id}:${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')}`;
    },
    open(sealed, context) {
      const [id = '', text = ''] = sealed.split(':', 2);
      const key = byId.get(id);
      if (key === undefined) throw new Error(`WEBHOOK_KEYS has no key ${id}, which a secret was sealed with`);
      const bytes = Buffer.from(text, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
      return Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()]).toString(
        'utf8',
      );
    },
  };
}

/** Keys by id, in their order; undefined for an entry that is none, empty when an id is there twice. */
function entriesOf(keys: string): Map<string, Buffer> | undefined {
  const found = new Map<string, Buffer>();
  for (const entry of keys.split(',')) {
    const [, id, secret] = /^([\w-]{1,16}):(.+)$/.exec(entry.trim()) ?? [];
    if (id === undefined || secret === undefined || secret.length < keyCharsMin) return undefined;
    if (found.has(id)) return new Map();
    found.set(id, Buffer.from(hkdfSync('sha256', secret, '', 'ragline webhook secrets', 32)));
  }
  return found;
}
