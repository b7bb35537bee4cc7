import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  type Health,
  healthy,
  nextHealth,
  nextStep,
  type Outcome,
  openAfter,
  outcomeOf,
  retryAfterMsOf,
} from './decide.ts';

const now = Date.parse('2026-01-01T00:00:00.000Z');
const rules = { delaysMs: [5_000, 300_000], disableAfterMs: 1_000_000, disableAfterExhausted: 3 };
const failed: Outcome = { kind: 'failed', error_code: 'timeout', retryAfterMs: undefined };
const answered = (status: number, retryAfter?: string) =>
  outcomeOf({ kind: 'answered', status, retryAfter, answer: '' }, now);

describe('what an answer to a webhook means', () => {
  const table: [number, string][] = [
    [200, 'delivered'],
    [204, 'delivered'],
    [299, 'delivered'],
    [300, 'redirected'],
    [307, 'redirected'],
    [400, 'status'],
    [404, 'status'],
    [410, 'gone'],
    [429, 'status'],
    [500, 'status'],
    [503, 'status'],
  ];
  for (const [status, meaning] of table) {
    it(`is ${meaning} for ${status}`, () => {
      const outcome = answered(status);
      assert.equal(outcome.kind === 'failed' ? outcome.error_code : outcome.kind, meaning);
    });
  }

  it('heeds Retry-After where the receiver is busy, and nowhere else', () => {
    const asked = (status: number) => {
      const outcome = answered(status, '120');
      return outcome.kind === 'failed' ? outcome.retryAfterMs : undefined;
    };
    assert.deepEqual([429, 503, 500, 301].map(asked), [120_000, 120_000, undefined, undefined]);
  });

  it('reads seconds and dates, and nothing longer than an hour', () => {
    const read = (header: string | undefined) => retryAfterMsOf(header, now);
    assert.equal(read('7'), 7_000);
    assert.equal(read('Thu, 01 Jan 2026 00:00:30 GMT'), 30_000);
    assert.equal(read('Wed, 31 Dec 2025 00:00:00 GMT'), 0);
    assert.equal(read('999999999'), 3_600_000);
    for (const header of ['soon', '-1', '', '1e9', undefined]) assert.ok((read(header) ?? 0) <= 3_600_000);
    assert.equal(read('soon'), undefined);
  });
});

describe('the next try of a delivery', () => {
  const delayOf = (tries: number, random: number, outcome: Outcome = failed) => {
    const step = nextStep(outcome, tries, rules, () => random);
    return step.state === 'waiting' ? step.delayMs : step.state;
  };

  it('follows the schedule, up to a fifth later, and then comes no more', () => {
    assert.deepEqual([delayOf(1, 0), delayOf(1, 1), delayOf(2, 0)], [5_000, 6_000, 300_000]);
    assert.equal(delayOf(3, 0), 'failed');
  });
  it('is never before the time that the receiver asked for', () => {
    assert.equal(delayOf(1, 0, { ...failed, retryAfterMs: 90_000 }), 90_000);
    assert.equal(delayOf(2, 0, { ...failed, retryAfterMs: 90_000 }), 300_000);
  });
  it('does not come after success, nor where nobody wants it', () => {
    assert.equal(delayOf(1, 0, { kind: 'delivered' }), 'delivered');
    assert.equal(delayOf(1, 0, { kind: 'gone' }), 'failed');
  });
});

describe('the health of an endpoint', () => {
  const after = (health: Health, outcome: Outcome, at = now) =>
    nextHealth(
      health,
      outcome,
      nextStep(outcome, 1, rules, () => 0),
      at,
      rules,
    );
  const failedTimes = (times: number): Health => {
    let health = healthy;
    // Each as a probe, when the pause before it is over; as if all were at one time.
    for (let i = 0; i < times; i += 1) {
      const probed = { ...health, openUntil: undefined };
      ({ health } = after(probed, failed));
    }
    return health;
  };

  it('is whole again with the first success', () => {
    assert.deepEqual(after(failedTimes(20), { kind: 'delivered' }), { health: healthy, disabled: undefined });
  });
  it('opens the breaker after failures in a row, for longer each time, up to five minutes', () => {
    const pauses = [1, openAfter - 1, openAfter, openAfter + 1, 30].map((times) => {
      const { openUntil } = failedTimes(times);
      return openUntil === undefined ? 0 : openUntil - now;
    });
    assert.deepEqual(pauses, [0, 0, 15_000, 30_000, 300_000]);
  });
  it('takes tries that fail together for one outage, not for probes of it', () => {
    let health = healthy;
    for (let i = 0; i < 10; i += 1) ({ health } = after(health, failed, now + i));
    const openUntil = now + openAfter - 1 + 15_000;
    assert.deepEqual([health.failures, health.openUntil], [openAfter, openUntil]);
    const probe = after(health, failed, openUntil).health;
    assert.deepEqual([probe.failures, probe.openUntil], [openAfter + 1, openUntil + 30_000]);
  });
  it('counts what is given up, also while it pauses', () => {
    const open = { ...healthy, failures: openAfter, failingSince: now, openUntil: now + 1_000, exhausted: 2 };
    assert.equal(nextHealth(open, failed, { state: 'failed' }, now, rules).disabled, 'exhausted');
  });
  it('pauses when the receiver asks for it, from the first time on', () => {
    const { health } = after(healthy, { ...failed, retryAfterMs: 60_000 });
    assert.deepEqual([health.failures, health.openUntil], [1, now + 60_000]);
  });
  it('ends at 410, after days without a success, or with too many given up in a row', () => {
    assert.equal(after(healthy, { kind: 'gone' }).disabled, 'gone');
    const since = { ...healthy, failures: 1, failingSince: now };
    assert.equal(after(since, failed, now + rules.disableAfterMs - 1).disabled, undefined);
    assert.equal(after(since, failed, now + rules.disableAfterMs).disabled, 'failing');
    const last = { state: 'failed' } as const;
    const given = (exhausted: number) => nextHealth({ ...healthy, exhausted }, failed, last, now, rules);
    assert.deepEqual([given(1).disabled, given(2).disabled], [undefined, 'exhausted']);
  });
});
