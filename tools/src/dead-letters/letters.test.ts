import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { renderTable } from '../parts/output.ts';
import { bodyOf } from './batch.ts';
import { queryOf } from './client.ts';
import { agoOf, letterText, summaryRow } from './letter-text.ts';
import { filterOf, setAt, splitPair } from './letters.ts';

describe('what the command for dead letters is told', () => {
  it('sets a field that is there, also within a list', () => {
    const value = { order: { items: [{ quantity: 1 }] } };
    setAt(value, ['order', 'items', '0', 'quantity'], 2);
    assert.deepEqual(value, { order: { items: [{ quantity: 2 }] } });
  });
  it('adds no field by a slip of the pen', () => {
    assert.throws(() => setAt({ order: {} }, ['order', 'totl'], 1), /no field totl/);
    assert.throws(() => setAt({ order: {} }, ['__proto__', 'x'], 1), /no field __proto__/);
  });
  it('splits at the first equals sign', () => {
    assert.deepEqual(splitPair('note=a=b'), ['note', 'a=b']);
    assert.throws(() => splitPair('note'), /name=value/);
  });
  it('names filters as the API does, and only those that were given', () => {
    assert.deepEqual(filterOf({ errorCode: 'failpoint', group: 'g' }), {
      group: 'g',
      error_code: 'failpoint',
    });
    assert.equal(queryOf({ limit: 20, cursor: undefined, q: 'a b' }), '?limit=20&q=a+b');
  });
  it('makes a batch of ids or of a filter, never of everything or both', () => {
    const what = { action: 'replay', reason: 'mended' };
    assert.deepEqual(bodyOf({ ...what, ids: ['1'], rate: 5 }), { ...what, ids: ['1'], rate_per_s: 5 });
    assert.deepEqual(bodyOf({ ...what, group: 'g' }), { ...what, filter: { group: 'g' } });
    assert.throws(() => bodyOf(what), /Say which/);
    assert.throws(() => bodyOf({ ...what, ids: ['1'], group: 'g' }), /not both/);
  });
  it('lets no text of a stranger move the cursor or change the terminal', () => {
    const evil = 'no\u001b]0;title\u0007\u001b[2J\u009b1A\u202e';
    const letter = { id: '1', group: evil, error_message: evil, error_code: evil, event_type: evil };
    const whole = letterText({
      ...letter,
      headers: { [evil]: evil },
      value: evil,
      error_stack: `${evil}\n  at x`,
    });
    for (const text of [whole, renderTable([summaryRow(letter)])]) {
      assert.ok(!/[^\P{Cc}\n]|\p{Bidi_Control}/u.test(text), JSON.stringify(text));
    }
    assert.match(whole, /\n {2}at x/);
  });
  it('says how long ago something was', () => {
    const now = Date.parse('2026-01-02T00:00:00.000Z');
    const ago = (seconds: number) => agoOf(new Date(now - seconds * 1_000).toISOString(), now);
    assert.deepEqual([30, 600, 7_200, 864_000].map(ago), ['30 s ago', '10 min ago', '2 h ago', '10 d ago']);
    assert.equal(agoOf(null), null);
  });
});
