import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { OutgoingRecord } from '../producer.ts';
import { announceTo, requestsOf } from './announce.ts';
import type { Letter } from './store.ts';

const place = { group_id: 'chat', topic: 'orders.v1', partition: 2 };

describe('announcing dead letters', () => {
  it('sends the original with its address, its place in the line, and the last failure', async () => {
    const { sent, announce } = aProducer();
    await announce(place, aLetter(1, { headers: { id: 'e', 'original-topic': 'a-lie.v1', deaths: '9' } }));
    const [[topic, [record]] = ['', []]] = sent;
    assert.equal(topic, 'chat.dlq');
    assert.deepEqual([String(record?.key), String(record?.value)], ['a', 'v']);
    assert.deepEqual(record?.headers, {
      id: 'e',
      'original-topic': 'orders.v1',
      'original-partition': '2',
      'original-offset': '5',
      'original-timestamp': '2026-05-01T10:00:00.000Z',
      'original-group': 'chat',
      'first-failed-at': '2026-05-01T11:00:00.000Z',
      attempt: '5',
      'not-before': '2026-05-01T12:00:00.000Z',
      'error-code': 'handler_failed',
      'error-class': 'TypeError',
      'error-message': 'no',
      'error-stack': '',
      'failed-at': '2026-05-01T12:00:01.000Z',
      'inbox-id': 'e',
      'parked-record': '1',
      deaths: '2',
    });
  });

  it('sends what comes in one turn together', async () => {
    const { sent, announce } = aProducer();
    await Promise.all([1, 2, 3].map((id) => announce(place, aLetter(id))));
    assert.deepEqual(
      sent.map(([, records]) => records.length),
      [3],
    );
  });

  it('holds up no letter for one that Kafka refuses, and tells of that one without its content', async () => {
    const sent: (string | undefined)[][] = [];
    const announce = announceTo({
      async send(_, records) {
        if (records.some(({ value }) => value?.length === 9)) throw new Error('too large');
        sent.push(records.map(({ headers, value }) => `${headers?.['parked-record']} ${value}`));
      },
    });
    const refused = { value: Buffer.from('too large') };
    await Promise.all([
      announce(place, aLetter(1)),
      announce(place, aLetter(2, refused)),
      announce(place, aLetter(3)),
    ]);
    assert.deepEqual(sent, [['1 v'], ['3 v'], ['2 null']]);
  });

  it('sends no more together than a broker takes', () => {
    const record = (bytes: number): OutgoingRecord => ({
      key: null,
      value: Buffer.alloc(bytes),
      headers: { a: 'b' },
    });
    const sizes = [10, 600_000, 300_000, 200_000, 100_000, 10];
    const requests = requestsOf(sizes.map(record));
    assert.deepEqual(
      requests.map((all) => all.map(({ value }) => value?.length)),
      [[10], [600_000], [300_000, 200_000], [100_000, 10]],
    );
    assert.deepEqual(requestsOf([]), []);
  });
});

function aProducer() {
  const sent: [string, readonly OutgoingRecord[]][] = [];
  const producer = {
    async send(topic: string, records: readonly OutgoingRecord[]) {
      sent.push([topic, records]);
    },
    async stop() {},
  };
  return { sent, announce: announceTo(producer) };
}

function aLetter(recordId: number, changes: Partial<Letter> = {}): Letter {
  return {
    recordId,
    deaths: 2,
    offset: '5',
    key: Buffer.from('a'),
    value: Buffer.from('v'),
    headers: {},
    timestamp: Date.parse('2026-05-01T10:00:00Z'),
    tenant_id: null,
    event_id: 'e',
    inbox_id: 'e',
    firstFailedAt: Date.parse('2026-05-01T11:00:00Z'),
    error: {
      code: 'handler_failed',
      class: 'TypeError',
      message: 'no',
      stack: '',
      attempt: 5,
      not_before: '2026-05-01T12:00:00.000Z',
      failed_at: '2026-05-01T12:00:01.000Z',
    },
    ...changes,
  };
}
