import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createLedger, type Effect } from './parking-ledger.ts';

describe('the judge of what a group that keeps order did', () => {
  const effect = (version: number, event_id = `e${version}`): Effect => ({ key: 'k', version, event_id });
  const judge = (effects: Effect[], change: (ledger: ReturnType<typeof createLedger>) => void = () => {}) => {
    const ledger = createLedger();
    for (const version of [1, 2, 3]) ledger.produced('k', version, `e${version}`);
    change(ledger);
    return ledger.judge(effects).examples;
  };

  it('is content with each effect once and in order', () => {
    assert.deepEqual(judge([effect(1), effect(2), effect(3)]), []);
  });

  it('finds what is lost, doubled and reordered', () => {
    assert.deepEqual(judge([effect(1), effect(3)]), ['lost k/2']);
    assert.deepEqual(judge([effect(1), effect(2), effect(2), effect(3)]), ['doubled k/2']);
    assert.deepEqual(judge([effect(1), effect(3), effect(2)]), ['reordered k/2 after 3']);
  });

  it('forbids what was discarded, and what an edit had replaced', () => {
    const discard = (ledger: ReturnType<typeof createLedger>) => {
      const entry = ledger.entryOf('e2');
      if (entry) entry.state = 'discarded';
    };
    assert.deepEqual(judge([effect(1), effect(3)], discard), []);
    assert.deepEqual(judge([effect(1), effect(2), effect(3)], discard), ['forbidden k/2']);
    const edit = (ledger: ReturnType<typeof createLedger>) => {
      const entry = ledger.entryOf('e2');
      if (entry) entry.eventId = 'edited';
    };
    assert.deepEqual(judge([effect(1), effect(2, 'edited'), effect(3)], edit), []);
    assert.deepEqual(judge([effect(1), effect(2), effect(3)], edit), ['forbidden k/2']);
  });

  it('lets what was released come at any time, and the others not', () => {
    const release = (ledger: ReturnType<typeof createLedger>) => {
      const entry = ledger.entryOf('e1');
      if (entry) entry.unordered = true;
    };
    assert.deepEqual(judge([effect(2), effect(3), effect(1)], release), []);
    assert.deepEqual(judge([effect(3), effect(2), effect(1)], release), ['reordered k/2 after 3']);
  });
});
