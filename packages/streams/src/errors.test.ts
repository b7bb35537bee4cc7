import assert from 'node:assert/strict';
import { BreakerError } from '@ragline/runtime/breaker';
import { CodecError } from '@ragline/schemas/codec';
import { describe, it } from 'mocha';
import { failureOf, PermanentError, UnavailableError } from './errors.ts';

const withCode = (code: string, message = 'it failed') => Object.assign(new Error(message), { code });

describe('what an error means', () => {
  const permanent: [string, unknown, string][] = [
    ['a permanent error', new PermanentError('tenant_missing', 'no tenant'), 'tenant_missing'],
    ['bytes that never decode', new CodecError('malformed_avro', 'no order_v1'), 'malformed_avro'],
  ];
  for (const [name, error, code] of permanent) {
    it(`takes ${name} for one that trying again cannot help`, () => {
      assert.deepEqual(failureOf(error), { kind: 'permanent', code });
    });
  }

  const away: [string, unknown][] = [
    ['a part that says it is away', new UnavailableError('away')],
    ['an open breaker', new BreakerError('breaker_open', 'orders')],
    ['a breaker that timed out', new BreakerError('breaker_timeout', 'orders')],
    ['opossum’s own refusal', withCode('EOPENBREAKER', 'Breaker is open')],
    ['a refused connection', withCode('ECONNREFUSED')],
    ['a failed fetch', new TypeError('fetch failed', { cause: withCode('ECONNRESET') })],
    ['Postgres being stopped', withCode('57P01', 'terminating connection due to administrator command')],
    ['Postgres starting', withCode('57P03')],
    ['too many connections', withCode('53300')],
    ['a lost connection to Postgres', new Error('Connection terminated unexpectedly')],
    ['a pool that gets no connection', new Error('timeout exceeded when trying to connect')],
    ['a registry that is away', Object.assign(new Error('503'), { name: 'RegistryUnavailableError' })],
  ];
  for (const [name, error] of away) {
    it(`takes ${name} for something that will come back`, () => {
      assert.deepEqual(failureOf(error), { kind: 'unavailable' });
    });
  }

  for (const sqlState of ['40001', '40P01', '55P03']) {
    it(`sees two transactions in each other's way in ${sqlState}`, () => {
      assert.equal(failureOf(withCode(sqlState)).kind, 'conflict');
    });
  }

  const unknown: [string, unknown][] = [
    ['a bug', new TypeError('undefined is not a function')],
    ['a constraint', withCode('23505')],
    ['a statement that took too long', withCode('57014')],
    ['what is no error', 'text'],
    ['nothing', undefined],
  ];
  for (const [name, error] of unknown) {
    it(`knows nothing of ${name}`, () => {
      assert.deepEqual(failureOf(error), { kind: 'unknown', code: 'handler_failed' });
    });
  }
});
