/** Bearer secrets (refresh tokens, tickets): random, stored as hashes, one of them sealed for its predecessor. */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

/** 32 random bytes in base64url: 43 characters. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

export const secretShape = /^[A-Za-z0-9_-]{43}$/;

/** Enough for a secret of 256 random bits: there is nothing to guess, so nothing to slow down. */
export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

const keyOf = (secret: string, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `ragline identity ${purpose}`, 32));

/**
 * Seals text (AES-256-GCM: iv, tag, ciphertext) under a key derived from a secret; `context` must be the same on
 * opening, so that a sealed text moved to another row does not open.
 */
export function seal(text: string, secret: string, purpose: string, context: string): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret, purpose), iv).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/** The text sealed; throws when the secret or the context is another one, or a bit was changed. */
export function open(sealed: Buffer, secret: string, purpose: string, context: string): string {
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secret, purpose), sealed.subarray(0, 12), {
    authTagLength: 16,
  });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(12, 28));
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8');
}
