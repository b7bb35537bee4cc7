import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type AlertRule, nextStep, pauseMs, ruleFor, type Step, type Watch } from './alert-rules.ts';

const rule: AlertRule = {
  kind: 'volume',
  group: '*',
  raise_at: 10,
  clear_below: 5,
  raise_after_s: 60,
  clear_after_s: 120,
};
const now = new Date('2026-01-01T12:00:00.000Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1_000);
const quiet: Watch = { state: 'quiet' };

describe('the step of an alert', () => {
  const table: [string, Watch, number, Step][] = [
    ['does nothing below the threshold', quiet, 9, 'none'],
    ['begins to wait at the threshold', quiet, 10, 'pend'],
    ['waits on while the time is not over', { state: 'pending', since: ago(59) }, 10, 'none'],
    ['is raised when the time is over', { state: 'pending', since: ago(60) }, 10, 'raise'],
    ['is forgotten when the value falls before', { state: 'pending', since: ago(59) }, 9, 'forget'],
    ['stays between the two thresholds', { state: 'raised', belowSince: null }, 5, 'none'],
    ['notes when the value falls below the lower one', { state: 'raised', belowSince: null }, 4, 'fall'],
    ['waits before it is cleared', { state: 'raised', belowSince: ago(119) }, 4, 'none'],
    ['is cleared after that', { state: 'raised', belowSince: ago(120) }, 4, 'clear'],
    ['begins anew when the value rises meanwhile', { state: 'raised', belowSince: ago(119) }, 5, 'rise'],
  ];
  for (const [promise, watch, value, step] of table) {
    it(promise, () => assert.equal(nextStep(rule, watch, value, now), step));
  }

  it('comes at once where no time is given', () => {
    const hasty = { ...rule, raise_after_s: 0, clear_after_s: 0 };
    assert.equal(nextStep(hasty, quiet, 10, now), 'raise');
    assert.equal(nextStep(hasty, { state: 'raised', belowSince: null }, 4, now), 'clear');
  });

  it('clears what a rule raised that is there no longer', () => {
    assert.equal(nextStep(undefined, { state: 'raised', belowSince: null }, 99, now), 'clear');
    assert.equal(nextStep(undefined, { state: 'pending', since: now }, 99, now), 'forget');
    assert.equal(nextStep(undefined, quiet, 99, now), 'none');
  });

  it('raises once, however often the value swings across the upper threshold', () => {
    let watch: Watch = quiet;
    let raised = 0;
    for (let second = 0; second < 3_600; second += 5) {
      const at = new Date(now.getTime() + second * 1_000);
      const step = nextStep(rule, watch, Math.floor(second / 90) % 2 === 0 ? 12 : 4, at);
      if (step === 'raise') raised += 1;
      watch = after(watch, step, at);
    }
    assert.equal(raised, 1);
  });
});

describe('the rule of a group', () => {
  const each = { ...rule, raise_at: 1 };
  const named = { ...rule, group: 'notifications', raise_at: 2 };
  const together = { ...rule, group: null, raise_at: 3 };
  const rules = [each, named, together];

  it('is its own, else the one for each group', () => {
    assert.equal(ruleFor(rules, 'volume', 'notifications'), named);
    assert.equal(ruleFor(rules, 'volume', 'billing'), each);
  });
  it('of all groups together is never the one for each', () => {
    assert.equal(ruleFor(rules, 'volume', null), together);
    assert.equal(ruleFor([each], 'volume', null), undefined);
  });
  it('is of the same kind', () => assert.equal(ruleFor(rules, 'oldest_age', 'billing'), undefined));
});

describe('the pause before a message is sent again', () => {
  it('doubles from 5 s to 15 minutes', () => {
    const pauses = [1, 2, 3, 8, 9, 1_000].map((attempt) => pauseMs(attempt, () => 0.5));
    assert.deepEqual(pauses, [5_000, 10_000, 20_000, 640_000, 900_000, 900_000]);
  });
});

/** What the store makes of a step. */
function after(watch: Watch, step: Step, at: Date): Watch {
  if (step === 'pend') return { state: 'pending', since: at };
  if (step === 'forget' || step === 'clear') return { state: 'quiet' };
  if (step === 'raise' || step === 'rise') return { state: 'raised', belowSince: null };
  return step === 'fall' ? { state: 'raised', belowSince: at } : watch;
}
