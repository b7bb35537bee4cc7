import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { eventTypeOf, objectionTo, orderStatuses, recallMs, type Standing } from './transitions.ts';
import type { OrderStatus } from './types.ts';

const staffSteps = new Set([
  'pending → confirmed',
  'pending → cancelled',
  'confirmed → preparing',
  'confirmed → cancelled',
  'preparing → ready',
  'preparing → cancelled',
  'ready → completed',
  'ready → preparing',
  'completed → ready',
]);

describe('the steps of an order', () => {
  for (const from of orderStatuses) {
    for (const to of orderStatuses) {
      const step = `${from} → ${to}`;
      const isAllowed = staffSteps.has(step);
      it(`staff ${isAllowed ? 'may' : 'may not'} take it ${step}`, () => {
        assert.equal(objectionTo(at(from), to, 'staff', 1_000) === undefined, isAllowed);
      });
      const isOwn = step === 'pending → cancelled';
      it(`its customer ${isOwn ? 'may' : 'may not'} take it ${step}`, () => {
        assert.equal(objectionTo(at(from), to, 'customer', 1_000) === undefined, isOwn);
      });
    }
  }

  it('lead back from completed for 15 minutes and no longer', () => {
    assert.equal(objectionTo(at('completed'), 'ready', 'staff', recallMs), undefined);
    assert.ok(objectionTo(at('completed'), 'ready', 'staff', recallMs + 1));
  });

  it('are told as a cancellation only when they are one', () => {
    assert.equal(eventTypeOf('cancelled'), 'order_cancelled');
    assert.equal(eventTypeOf('ready'), 'order_status_changed');
  });
});

function at(status: OrderStatus): Standing {
  return { status, completedAtMs: status === 'completed' ? 0 : undefined };
}
