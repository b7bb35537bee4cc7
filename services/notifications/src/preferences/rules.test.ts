import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  afterQuiet,
  holdsAnything,
  isSame,
  judge,
  lastEnd,
  normal,
  type Preferences,
  type Rules,
  rulesAt,
  usualRules,
  windowEnd,
} from './rules.ts';

const quiet_hours = { from: '22:00', to: '07:00', time_zone: 'UTC' };
const night: Rules = { ...usualRules, quiet_hours };
const digested: Rules = {
  events: { order_status_changed: { list: true, live: 'digest' } },
  quiet_hours: null,
  digest_minutes: 15,
};
const both: Rules = { ...digested, quiet_hours };
const at = (time: string) => Date.parse(`2026-01-${time}:00Z`);
const iso = (ms: number) => new Date(ms).toISOString().slice(8, 16);

describe('preferences', () => {
  const verdicts: [string, Rules, string, string, string][] = [
    ['nothing was put', usualRules, 'order_created', '10T23:00', 'told'],
    ['it is day', night, 'order_created', '10T12:00', 'told'],
    ['it is night', night, 'order_created', '10T23:00', 'held'],
    ['it is night and urgent', night, 'order_cancelled', '10T23:00', 'told'],
    ['it is night and new to us', night, 'refund_made', '10T23:00', 'held'],
    ['it waits for the digest', digested, 'order_status_changed', '10T12:00', 'held'],
    ['another kind does', digested, 'order_created', '10T12:00', 'told'],
    [
      'it is switched off',
      { ...night, events: { order_cancelled: { list: true, live: false } } },
      'order_cancelled',
      '10T23:00',
      'muted',
    ],
    ['it is the digest, by night', night, 'notifications_digest', '10T23:00', 'told'],
  ];
  for (const [name, rules, kind, time, expected] of verdicts) {
    it(`what becomes of ${kind} when ${name}: ${expected}`, () =>
      assert.equal(judge(rules, kind, at(time)), expected));
  }

  const ends: [string, Rules, string, string][] = [
    ['after its minutes', digested, '10T12:00', '10T12:15'],
    ['when the night ends', night, '10T12:00', '11T07:00'],
    ['when the night ends, also begun in it', night, '10T23:00', '11T07:00'],
    ['a day later, begun at that end', night, '11T07:00', '12T07:00'],
    ['after its minutes by day', both, '10T12:00', '10T12:15'],
    ['when the night ends, where its minutes end in it', both, '10T21:50', '11T07:00'],
    [
      'when the night ends, though its minutes last longer',
      { ...both, digest_minutes: 1_440 },
      '10T12:00',
      '11T07:00',
    ],
  ];
  for (const [name, rules, from, expected] of ends) {
    it(`a window ends ${name}`, () => assert.equal(iso(windowEnd(rules, at(from))), expected));
  }

  it('one digest tells what several would have told in time', () => {
    assert.equal(iso(lastEnd(digested, at('10T12:15'), at('10T12:29'))), '10T12:15');
    assert.equal(iso(lastEnd(digested, at('10T12:15'), at('10T13:02'))), '10T13:00');
    assert.equal(iso(lastEnd(both, at('10T21:45'), at('12T12:00'))), '12T12:00');
  });

  it('nobody is woken', () => {
    assert.equal(iso(afterQuiet(night, at('10T23:00'))), '11T07:00');
    assert.equal(iso(afterQuiet(night, at('10T12:00'))), '10T12:00');
  });

  it('who waits for nothing has no windows', () => {
    assert.deepEqual([usualRules, night, digested].map(holdsAnything), [false, true, true]);
    assert.equal(holdsAnything({ ...usualRules, digest_minutes: 15 }), false);
  });

  it('what was made before a change is judged by what held then', () => {
    const preferences: Preferences = {
      version: 3,
      rules: usualRules,
      from: at('12T00:00'),
      history: [
        { from: at('11T00:00'), rules: digested },
        { from: at('10T00:00'), rules: night },
      ],
    };
    const of = (time: string) => rulesAt(preferences, at(time));
    assert.deepEqual(
      [of('12T00:00'), of('11T23:59'), of('11T00:00'), of('10T12:00'), of('09T12:00')],
      [usualRules, digested, digested, night, usualRules],
    );
  });

  it('are the same in whatever order they are put, with what is usual or without', () => {
    const spelled: Rules = {
      digest_minutes: 15,
      events: {
        order_status_changed: { live: 'digest', list: true },
        order_created: { list: true, live: true },
      },
      quiet_hours: null,
    };
    assert.ok(isSame(spelled, digested));
    assert.deepEqual(normal(spelled), digested);
    assert.ok(!isSame(night, usualRules));
  });
});
