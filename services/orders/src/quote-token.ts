/**
 * Quote tokens: nothing is stored, so the token itself says who may use it, for what, and until when.
 *
 *   base64url(claims) . base64url(HMAC-SHA256(secret, first part))
 */
import { createHmac, createSecretKey, hash, timingSafeEqual } from 'node:crypto';
import type { Price } from './pricing.ts';

export const quoteValidMs = 15 * 60_000;

export type Holder = { tenant_id: string; user_id: string };
export type QuoteTokens = ReturnType<typeof quoteTokens>;

/** forged: not one of ours, or somebody else's. expired and changed: ask for a new one. */
export type QuoteJudgement = 'valid' | 'forged' | 'expired' | 'changed';

/** What a quote promises: products, quantities and every amount; notes change no price. */
export function contentHash(price: Price): string {
  const { currency, subtotal, discount, total, promo_code, items } = price;
  const lines = items.map(({ product_id, quantity, unit_price }) => [product_id, quantity, unit_price]);
  return hash(
    'sha256',
    JSON.stringify([currency, subtotal, discount, total, promo_code, lines]),
    'base64url',
  );
}

export function quoteTokens(secret: string) {
  // A KeyObject: with a raw key each HMAC would set the key up anew.
  const key = createSecretKey(Buffer.from(secret));
  const signatureOf = (body: string) => createHmac('sha256', key).update(`quote.${body}`).digest();

  return {
    seal(
      { tenant_id, user_id }: Holder,
      price: Price,
      atMs: number,
    ): { quote_token: string; expires_at: string } {
      const expiresMs = atMs + quoteValidMs;
      const claims = [1, tenant_id, user_id, expiresMs, contentHash(price)];
      const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
      return {
        quote_token: `${body}.${signatureOf(body).toString('base64url')}`,
        expires_at: new Date(expiresMs).toISOString(),
      };
    },

    /** Whether the token is the holder's, in time, and about exactly this price. */
    judge(token: string, { tenant_id, user_id }: Holder, price: Price, atMs: number): QuoteJudgement {
      const [body = '', signature = '', ...rest] = token.split('.');
      const given = Buffer.from(signature, 'base64url');
      const expected = signatureOf(body);
      if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected))
        return 'forged';
      const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString());
      if (!Array.isArray(claims) || claims[0] !== 1) return 'forged';
      if (claims[1] !== tenant_id || claims[2] !== user_id) return 'forged';
      if (typeof claims[3] !== 'number' || claims[3] <= atMs) return 'expired';
      return claims[4] === contentHash(price) ? 'valid' : 'changed';
    },
  };
}
