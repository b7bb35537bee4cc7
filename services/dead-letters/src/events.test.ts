import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type EventLetter, eventOf } from './events.ts';

describe('the event of a letter', () => {
  const letter: EventLetter = {
    ...{ id: '01a20000-0000-7000-8000-000000000001', state: 'waiting', group_id: 'notifications' },
    ...{ topic: 'orders.v1', partition: 3, offset: '41', tenant_id: null },
    ...{ event_id: '01a20000-0000-7000-8000-000000000002', event_type: 'order_created' },
    ...{ error_code: 'schema_unknown', error_class: 'org.apache.kafka.connect.errors.DataException' },
    ...{ fingerprint: 'f', attempts: 1, version: 1 },
  };
  const of = (more: Partial<EventLetter>) =>
    eventOf(
      { event_type: 'dead_letter_kept', user_id: null, letter: { ...letter, ...more } },
      '2026-11-23T09:30:00.000Z',
    ).letter;

  it('says which event failed, and by which error', () => {
    const { event_id, event_type, error_code, error_class } = letter;
    const told = of({});
    assert.deepEqual(
      [told?.event_id, told?.event_type, told?.error_code, told?.error_class],
      [event_id, event_type, error_code, error_class],
    );
  });

  for (const name of ['event_id', 'event_type', 'error_code', 'error_class'] as const) {
    it(`has no text that a stranger wrote into ${name}: it outlives an erasure`, () => {
      assert.equal(of({ [name]: 'anna@mine.example' })?.[name], null);
      assert.equal(of({ [name]: 'Anna Smith' })?.[name], null);
      assert.equal(of({ [name]: null })?.[name], null);
    });
  }

  it('has no text that a stranger wrote for a group, nor has the event of an alert', () => {
    const ofAlert = (group: string | null) => {
      const alert = { id: letter.id, kind: 'volume', group, value: 3, threshold: 3 } as const;
      const event = { event_type: 'alert_raised', user_id: null, tenant_id: null, alert } as const;
      return eventOf(event, '2026-11-23T09:30:00.000Z').alert?.group;
    };
    for (const name of ['anna@mine.example', 'Anna Smith', '']) {
      assert.deepEqual([of({ group_id: name })?.group, ofAlert(name)], ['unknown', 'unknown']);
    }
    for (const name of ['connect-orders_sink.1', 'notifications']) {
      assert.deepEqual([of({ group_id: name })?.group, ofAlert(name)], [name, name]);
    }
    assert.equal(ofAlert(null), null);
  });
});
