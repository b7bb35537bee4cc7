import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { CutError, titleFrom, verdictOf } from './domain.ts';
import { ModelError } from './model/model.ts';
import { eventIdOf } from './turn/events.ts';

describe('what an error in a turn means', () => {
  const away = () => true;
  const here = () => false;
  const cases = [
    ['a stop ends it as it is', new CutError('stop'), here, { kind: 'end', end: { state: 'stopped' } }],
    [
      'its deadline fails it',
      new CutError('deadline'),
      here,
      { kind: 'end', end: { state: 'failed', error_code: 'turn_deadline' } },
    ],
    ['another worker has it', new CutError('superseded'), here, { kind: 'leave' }],
    ['this process ends', new CutError('handover'), here, { kind: 'leave' }],
    [
      'no model answers',
      new ModelError('model_unavailable', ''),
      away,
      { kind: 'end', end: { state: 'failed', error_code: 'model_unavailable' } },
    ],
    ['the database is away', new Error('away'), away, { kind: 'wait' }],
    ['a fault of ours', new TypeError('a bug'), here, { kind: 'fault' }],
  ] as const;
  for (const [name, error, isAway, expected] of cases) {
    it(name, () => assert.deepEqual(verdictOf(error, isAway), expected));
  }
});

describe('titles of conversations', () => {
  it('are the beginning of the first question, on one line', () => {
    assert.equal(titleFrom('  Are you\n open? '), 'Are you open?');
    assert.equal(titleFrom('x'.repeat(200)).length, 80);
  });
});

describe('ids of events', () => {
  const turn = '01a205c8-e794-7ee1-80ea-c14e18a29a2a';

  it('are the same for the same event, and others for any other', () => {
    assert.equal(eventIdOf(turn, 1, 1), eventIdOf(turn, 1, 1));
    const ids = [eventIdOf(turn, 1, 1), eventIdOf(turn, 2, 1), eventIdOf(turn, 1, 2), eventIdOf(turn, 11, 1)];
    assert.equal(new Set(ids).size, ids.length);
  });

  it('are UUIDv7 of the turn’s time', () => {
    assert.match(eventIdOf(turn, 3, 77), /^01a205c8-e794-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
