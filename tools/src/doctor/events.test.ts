import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { verdictOf } from './events.ts';

describe('what the doctor makes of the last comparison of outboxes and topics', () => {
  const now = 1_700_000_060_000;
  const compared = 'ragline_reconcile_last_success_timestamp_seconds 1.7e+9\n';

  it('is a warning with holes or records that nobody committed, since they may be mended by now', () => {
    const holes =
      'ragline_reconcile_holes{topic="orders.v1"} 0\nragline_reconcile_holes{topic="catalog.v1"} 2\n';
    const phantoms = 'ragline_reconcile_phantoms{topic="orders.v1"} 3\n';
    const { state, detail } = verdictOf(compared + holes + phantoms, now);
    assert.equal(state, 'warning');
    assert.match(detail, / ago 2 events of outboxes were on no topic, 3 records in no outbox$/);
    assert.equal(verdictOf(compared + phantoms, now).state, 'warning');
  });

  it('is well when both agree, and when nothing was compared yet', () => {
    const { state, detail } = verdictOf(`${compared}ragline_reconcile_holes{topic="orders.v1"} 0\n`, now);
    assert.equal(state, undefined);
    assert.match(detail, /agreed/);
    assert.deepEqual(verdictOf(''), { detail: 'not compared yet' });
  });
});
