import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { problemFrom } from './problem-from.ts';

describe('a problem made of an error', () => {
  const codeOf = (message: string, members = {}) =>
    problemFrom(Object.assign(new Error(message), members)).code;

  it('is unavailable for whatever says that a connection to Postgres was lost', () => {
    const lost = [
      codeOf('Connection terminated unexpectedly'),
      codeOf('Client has encountered a connection error and is not queryable'),
      codeOf('timeout exceeded when trying to connect'),
      codeOf('terminating connection due to administrator command', { code: '57P01' }),
    ];
    assert.deepEqual(new Set(lost), new Set(['unavailable']));
  });

  it('is internal for what nobody foresaw, and tells nothing of it', () => {
    const problem = problemFrom(new Error('relation "secret" does not exist'));
    assert.deepEqual([problem.code, problem.detail], ['internal', undefined]);
  });
});
