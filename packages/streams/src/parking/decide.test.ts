import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { defaultPolicy } from '../after-failure.ts';
import { PermanentError, UnavailableError } from '../errors.ts';
import { afterFirst, afterRetry } from './decide.ts';
import type { Head } from './store.ts';

const policy = { ...defaultPolicy, delaysMs: [60, 120, 240], jitterMs: 0 };
const now = Date.parse('2026-05-01T12:00:00Z');
const around = { policy, deadHead: 'wait', conflicts: 0, now, random: () => 0 } as const;
const bug = new TypeError('a bug');

describe('what is booked on a parked record that failed', () => {
  it('goes up the ladder from where its line stands, then is dead', () => {
    const verdicts = [0, 1, 2, 3].map((attempt) => afterRetry(bug, aHead({ attempt }), around));
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.kind === 'retry' ? verdict.delayMs : verdict.kind)),
      [60, 120, 240, 'dead'],
    );
  });

  it('has one attempt, without the ladder, once it has been dead', () => {
    assert.equal(afterRetry(bug, aHead({ attempt: 1, deaths: 1 }), around).kind, 'dead');
  });

  it('is dead at once when trying again cannot help, and leaves its place where dead heads are skipped', () => {
    const refused = new PermanentError('refused', 'no');
    const verdict = afterRetry(refused, aHead({ attempt: 0 }), { ...around, deadHead: 'skip' });
    assert.ok(verdict.kind === 'dead' && verdict.skip);
    assert.equal(verdict.error.code, 'refused');
  });

  it('spends no attempt on what is away, nor on a few conflicts', () => {
    const away = afterRetry(new UnavailableError('away'), aHead({ deaths: 1 }), around);
    assert.deepEqual(away, { kind: 'again', delayMs: 4_000 });
    const conflict = Object.assign(new Error('deadlock'), { code: '40P01' });
    assert.equal(afterRetry(conflict, aHead(), around).kind, 'again');
    assert.equal(afterRetry(conflict, aHead(), { ...around, conflicts: 5 }).kind, 'retry');
  });

  it('tells of the attempt that failed', () => {
    const verdict = afterRetry(bug, aHead({ attempt: 3 }), around);
    assert.ok(verdict.kind === 'dead');
    const { stack, ...error } = verdict.error;
    assert.match(stack, /a bug/);
    assert.deepEqual(error, {
      code: 'handler_failed',
      class: 'TypeError',
      message: 'a bug',
      attempt: 4,
      not_before: '2026-05-01T11:00:00.000Z',
      failed_at: '2026-05-01T12:00:00.000Z',
    });
    const first = { attempt: 1, notBefore: now, now, deadHead: 'wait' } as const;
    const parked = afterFirst({ kind: 'retry', delayMs: 60, errorCode: 'x' }, bug, first);
    assert.ok(parked.kind === 'retry');
    assert.deepEqual([parked.delayMs, parked.error.attempt, parked.error.code], [60, 1, 'x']);
  });
});

function aHead(changes: Partial<Head> = {}): Head {
  return {
    recordId: 1,
    lineId: 1,
    detached: false,
    attempt: 1,
    deaths: 0,
    notBefore: Date.parse('2026-05-01T11:00:00Z'),
    firstFailedAt: undefined,
    offset: '5',
    key: Buffer.from('a'),
    value: Buffer.from('v'),
    headers: {},
    timestamp: 0,
    tenant_id: null,
    event_id: 'e',
    inbox_id: 'e',
    ...changes,
  };
}
