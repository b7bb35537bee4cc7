import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { compose, lettersIn } from './trace.ts';

describe('an event’s trace', () => {
  it('names each group once, with its attempts, whichever instance knows them', () => {
    const handled = {
      group: 'notifications',
      outcome: 'notified',
      attempts: 2,
      at: '2026-01-01T00:00:00.020Z',
    };
    const read = {
      group: 'notifications',
      outcome: 'notified',
      attempts: null,
      at: '2026-01-01T00:00:00.010Z',
    };
    for (const told of [
      [handled, read],
      [read, handled],
    ]) {
      const found = told.map((group, at) => answerOf(`notifications-${at + 1}`, { groups: [group] }));
      assert.deepEqual(compose('e', found, []).groups, [handled]);
    }
  });

  it('says where the record lies when only one instance still knows', () => {
    const place = { topic: 'orders.v1', partition: 3, offset: '41', groups: [] };
    const found = [
      answerOf('notifications-1', { topic: null, groups: [] }),
      answerOf('notifications-2', place),
    ];
    const { record, missing } = compose('e', found, ['notifications-4', 'notifications-3']);
    assert.deepEqual(record, { topic: 'orders.v1', partition: 3, offset: '41' });
    assert.deepEqual(missing, ['notifications-3', 'notifications-4']);
  });

  it('names each delivery to a webhook once, as the instance knows it that read it last', () => {
    const waiting = { delivery_id: 'd1', state: 'waiting', attempts: 1 };
    const delivered = { ...waiting, state: 'delivered', attempts: 2 };
    const other = { ...waiting, delivery_id: 'd2' };
    const found = [
      answerOf('notifications-1', { groups: [], webhooks: [delivered, other] }),
      answerOf('notifications-2', { groups: [], webhooks: [waiting, other] }),
      // Of a version before webhooks.
      answerOf('notifications-3', { groups: [] }),
    ];
    assert.deepEqual(compose('e', found, []).webhooks, [delivered, other]);
  });

  it('has the event’s letters with their attempts, as the list of letters shows them', () => {
    const letter = {
      id: 'l1',
      state: 'waiting',
      group: 'g',
      event_id: 'e',
      error_code: 'x',
      attempt_count: 5,
    };
    assert.deepEqual(lettersIn([letter, { ...letter, id: 'l2', event_id: 'other' }], 'e'), [
      { id: 'l1', group: 'g', state: 'waiting', error_code: 'x', attempts: 5 },
    ]);
  });
});

function answerOf(instance: string, body: Record<string, unknown>) {
  return { instance: { service: 'notifications' as const, name: instance }, body: { instance, ...body } };
}
