import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { redactFields } from './redact.ts';

describe('what may be logged', () => {
  it('holds no field that is named like a secret, at any depth', () => {
    const safe = redactFields({
      password: 'a',
      access_token: 'b',
      refreshToken: 'c',
      'set-cookie': ['d'],
      nested: { headers: { Authorization: 'Bearer e' } },
    });
    assert.deepEqual(safe, {
      password: '[redacted]',
      access_token: '[redacted]',
      refreshToken: '[redacted]',
      'set-cookie': '[redacted]',
      nested: { headers: { Authorization: '[redacted]' } },
    });
  });

  it('keeps what only sounds like a secret', () => {
    const fields = { token_id: 'a', prompt_tokens: 12, token: 3, key: 'order-1', ticket_count: 4 };
    assert.deepEqual(redactFields(fields), fields);
  });

  it('holds no password of a URL and no token inside a text', () => {
    const safe = redactFields({
      url: 'postgres://orders:s3cret@db:5432/x',
      text: 'refused eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl for /ws',
    });
    assert.deepEqual(safe, {
      url: 'postgres://orders:[redacted]@db:5432/x',
      text: 'refused [redacted] for /ws',
    });
  });

  it('shows an error with its code and cause, but none of its other properties', () => {
    const error = Object.assign(new Error('duplicate key', { cause: new TypeError('inner') }), {
      code: '23505',
      detail: 'Key (email)=(a@b.c) already exists.',
    });
    const { error: safe } = redactFields({ error });
    assert.partialDeepStrictEqual(safe, {
      name: 'Error',
      message: 'duplicate key',
      code: '23505',
      cause: { name: 'TypeError', message: 'inner' },
    });
    assert.ok(!JSON.stringify(safe).includes('a@b.c'));
  });

  it('is bounded and always serialisable', () => {
    const ring: Record<string, unknown> = {
      bytes: Buffer.alloc(9),
      big: 12n,
      fn: () => 1,
      text: 'x'.repeat(99_999),
    };
    ring.self = ring;
    ring.many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index]));
    const text = JSON.stringify(redactFields(ring));
    assert.ok(text.length < 100_000, `${text.length}`);
    assert.ok(text.includes('<9 bytes>') && text.includes('"12"'));
  });
});
