import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isInternal, judgeOf, kindOf, type TopicKind, type Verdict } from './judge.ts';

const user = '01a20000-0000-7000-8000-000000000001';
const order = '01a20000-0000-7000-8000-000000000002';
const event = '01a20000-0000-7000-8000-000000000003';

describe('whether a record is about a person', () => {
  for (const [topic, kind] of [
    ['chat.events.v1', 'answers'],
    ['notifications.dlq', 'failed'],
    ['webhooks.retry.60s', 'failed'],
    ['webhooks.replay', 'failed'],
    ['others.dlq', 'failed'],
    ['orders.v1', 'log'],
    ['catalog.v1', 'log'],
    ['llm.calls.v1', 'counted'],
    ['somebody-elses', 'other'],
  ] as const) {
    it(`${topic} is of the kind ${kind}`, () => assert.equal(kindOf(topic), kind));
  }

  it('is asked of every topic but for what Kafka and Connect keep for themselves', () => {
    const names = ['__consumer_offsets', '_connect.offsets', 'connect-configs', 'connect-status'];
    assert.deepEqual(names.filter(isInternal), names);
    const others = ['connect-sink.dlq', 'connections', '_schemas', 'orders.v1', 'connect_customers'];
    assert.deepEqual(others.filter(isInternal), []);
  });

  const judge = judgeOf(user, [user, order], ['anna@mine.example']);
  const about: Verdict = { is: 'about' };
  const nothing: Verdict = { is: 'nothing' };
  const known: Verdict = { is: 'event', id: event, isNamed: false };
  const naming: Verdict = { is: 'event', id: event, isNamed: true };
  const record = (of: { key?: string; value?: string; headers?: Record<string, string> }) => ({
    key: of.key === undefined ? null : Buffer.from(of.key),
    value: of.value === undefined ? null : Buffer.from(of.value),
    headers: Object.entries(of.headers ?? {}).map(
      ([name, text]) => [Buffer.from(name), Buffer.from(text)] as const,
    ),
  });
  const table: [string, TopicKind, Parameters<typeof record>[0], Verdict][] = [
    ['an answer to the person', 'answers', { headers: { user_id: user } }, about],
    ['an answer to somebody else', 'answers', { headers: { user_id: order } }, nothing],
    [
      'an event of the person, which an outbox may have',
      'log',
      { headers: { user_id: user, id: event } },
      known,
    ],
    ['a record of the person that has no id', 'log', { headers: { user_id: user } }, about],
    ['garbage under the key of an order', 'failed', { key: order, value: '?' }, about],
    ['garbage under another key', 'failed', { key: event, value: '?' }, nothing],
    [
      'an event with a text that names the address',
      'log',
      { value: 'to anna@mine.example!', headers: { id: event } },
      naming,
    ],
    ['a call of a model that names the address', 'counted', { value: 'anna@mine.example' }, about],
    ['bytes that name the address', 'log', { value: 'to anna@mine.example!' }, about],
    ['a header that names the address', 'other', { headers: { to: 'anna@mine.example' } }, about],
    ['an address typed in large letters', 'failed', { value: 'Anna@Mine.EXAMPLE' }, about],
    ['an address that ends like it', 'failed', { value: '{"to":"joanna@mine.example"}' }, nothing],
    ['a mailbox of the same domain', 'failed', { value: 'jo.anna@mine.example' }, nothing],
    ['an address that begins like it', 'failed', { value: 'anna@mine.example.org' }, nothing],
    ['a longer domain', 'failed', { value: 'anna@mine.example-two' }, nothing],
    ['both of them', 'failed', { value: 'joanna@mine.example, anna@mine.example.' }, about],
    ['an address behind an escape of JSON', 'failed', { value: '"to\\nanna@mine.example"' }, about],
    ['an address in brackets of JSON', 'failed', { value: '"\\u003canna@mine.example\\u003e"' }, about],
    ['an address in a list of JSON', 'failed', { value: '"to:\\n-anna@mine.example"' }, about],
    ['an address behind a sign beyond ASCII', 'failed', { value: '„anna@mine.example“' }, about],
    [
      'an address whose length looks like a letter',
      'failed',
      { value: '\0\0\0\0\x01Danna@mine.example4' },
      about,
    ],
    ['a call of a model for the person', 'counted', { headers: { user_id: user } }, nothing],
    ['no value at all', 'failed', {}, nothing],
  ];
  for (const [name, kind, of, verdict] of table) {
    it(`${name}: ${verdict.is}`, () => assert.deepEqual(judge(kind, record(of)), verdict));
  }
});
