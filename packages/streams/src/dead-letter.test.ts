import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { deadLetterOf } from './dead-letter.ts';
import { PermanentError } from './errors.ts';
import type { ConsumedRecord } from './record.ts';

const death = {
  groupId: 'notifications',
  errorCode: 'tenant_missing',
  error: new PermanentError('tenant_missing', 'The record has no header tenant_id'),
  attempt: 1,
  notBefore: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  firstFailedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 7),
  failedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 8),
};

describe('a dead letter', () => {
  it('has the original bytes, the original headers, and why and where it died', () => {
    const record = aRecord({ id: Buffer.from('e-1'), odd: [Buffer.from('1'), Buffer.from('2')] });
    const letter = deadLetterOf(record, death);
    assert.equal(letter.key, record.key);
    assert.equal(letter.value, record.value);
    const { 'error-stack': stack, ...headers } = letter.headers;
    assert.match(String(stack), /PermanentError: The record has no header tenant_id/);
    assert.deepEqual(headers, {
      id: Buffer.from('e-1'),
      odd: [Buffer.from('1'), Buffer.from('2')],
      'original-topic': 'orders.v1',
      'original-partition': '3',
      'original-offset': '9007199254740993',
      'original-timestamp': '2026-01-02T00:00:00.000Z',
      'original-group': 'notifications',
      'first-failed-at': '2026-01-02T03:04:05.007Z',
      attempt: '1',
      'not-before': '2026-01-02T03:04:05.006Z',
      'error-code': 'tenant_missing',
      'error-class': 'PermanentError',
      'error-message': 'The record has no header tenant_id',
      'failed-at': '2026-01-02T03:04:05.008Z',
    });
  });

  it('keeps null null', () => {
    const letter = deadLetterOf({ ...aRecord({}), key: null, value: null }, death);
    assert.deepEqual([letter.key, letter.value], [null, null]);
  });

  it('keeps the address of its first death, and tells of the last', () => {
    const first = deadLetterOf(aRecord({}), death);
    const again = { ...aRecord(first.headers), topic: 'notifications.dlq', partition: 0, offset: '7' };
    const { headers } = deadLetterOf(again, {
      ...death,
      groupId: 'other',
      attempt: 6,
      errorCode: 'handler_failed',
    });
    assert.equal(headers['original-topic'], 'orders.v1');
    assert.equal(headers['original-offset'], '9007199254740993');
    assert.equal(headers['original-group'], 'notifications');
    assert.deepEqual([headers.attempt, headers['error-code']], ['6', 'handler_failed']);
  });

  it('cuts a long stack at 4 KiB without halving a character', () => {
    const error = new Error('short');
    error.stack = '€'.repeat(3_000);
    const stack = String(deadLetterOf(aRecord({}), { ...death, error }).headers['error-stack']);
    assert.ok(Buffer.byteLength(stack) <= 4_096);
    assert.match(stack, /^€+$/);
  });

  it('can be made of anything that was thrown, and of any timestamp', () => {
    const letter = deadLetterOf({ ...aRecord({}), timestamp: Number.NaN }, { ...death, error: 'a text' });
    assert.equal(letter.headers['error-message'], 'a text');
    assert.equal(letter.headers['error-class'], 'string');
    assert.equal(letter.headers['original-timestamp'], '');
  });
});

function aRecord(headers: ConsumedRecord['headers']): ConsumedRecord {
  const place = { topic: 'orders.v1', partition: 3, offset: '9007199254740993' };
  const bytes = { key: Buffer.from('order'), value: Buffer.from([0, 255, 1]) };
  return { ...place, ...bytes, headers, timestamp: Date.UTC(2026, 0, 2) };
}
