import assert from 'node:assert/strict';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { describe, it } from 'mocha';
import { notificationsFor } from './domain.ts';

describe('who is told what', () => {
  it('tells staff and the customer of a new order', () => {
    const event = anOrderEvent();
    const told = notificationsFor(event).map(({ audience, user_id, title }) => [audience, user_id, title]);
    assert.deepEqual(told, [
      ['staff', null, 'New order: 2 items, EUR 13.00'],
      ['user', event.user_id, 'Your order was received'],
    ]);
  });

  const steps: [OrderEvent['order']['status'], string, string][] = [
    ['confirmed', 'pending', 'Your order was confirmed'],
    ['preparing', 'confirmed', 'Your order is being prepared'],
    ['ready', 'preparing', 'Your order is ready'],
    ['completed', 'ready', 'Your order is completed'],
    ['preparing', 'ready', 'Your order is being prepared again'],
    ['ready', 'completed', 'Your order is ready again'],
  ];
  for (const [status, previous, title] of steps) {
    it(`tells the customer alone of ${previous} → ${status}`, () => {
      const told = notificationsFor(aStep(status, previous));
      assert.deepEqual(
        told.map(({ audience, title }) => [audience, title]),
        [['user', title]],
      );
    });
  }

  it('tells the customer that the order was cancelled', () => {
    const event = { ...aStep('cancelled', 'pending'), event_type: 'order_cancelled' as const };
    assert.deepEqual(
      notificationsFor(event).map(({ title }) => title),
      ['Your order was cancelled'],
    );
  });

  it('writes amounts as the currency has it', () => {
    const titleIn = (currency: string, total: number) => {
      const event = anOrderEvent();
      return notificationsFor({ ...event, order: { ...event.order, currency, total } })[0]?.title;
    };
    assert.equal(titleIn('JPY', 1_500), 'New order: 2 items, JPY 1,500');
    assert.equal(titleIn('KWD', 12_345), 'New order: 2 items, KWD 12.345');
    // What Intl refuses is shown as it is.
    assert.equal(titleIn('?', 5), 'New order: 2 items, 5 ?');
  });

  it('says nothing of an event type of tomorrow', () => {
    const event: OrderEvent = Object.assign(anOrderEvent(), { event_type: 'order_rated' });
    assert.deepEqual(notificationsFor(event), []);
  });
});

function aStep(status: OrderEvent['order']['status'], previous: string): OrderEvent {
  const event = anOrderEvent({ event_type: 'order_status_changed', previous_status: previous });
  return { ...event, order: { ...event.order, status } };
}
