import assert from 'node:assert/strict';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { anOrderEvent } from '@ragline/schemas/samples';
import { type Running, startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { makeTopics } from '@ragline/streams/make-topics';
import { type Producer, startProducer } from '@ragline/streams/producer';
import type { Kafka } from 'kafkajs';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { keepDeadLetter, together } from './consumer.ts';
import { startDiscovery } from './discover.ts';
import { filterFrom } from './letter-filter.ts';
import { aGroup, aRecord, type Headers, type LetterScene, openLetters } from './letters.support.ts';

const nobody = { tenant_id: null, user_id: null };
const log = { debug() {}, info() {}, warn() {}, error() {} };

describe('reading dead letter topics', function () {
  this.timeout(90_000);
  const own = aGroup();
  const topics: string[] = [];
  let scene: LetterScene;
  let kafka: Kafka;
  let producer: Producer;
  let running: Running;

  before(async () => {
    scene = await openLetters();
    kafka = createKafka({ ...stack().kafka, clientId: own, log });
    producer = await startProducer({ kafka, log });
    await makeTopic(`${own}-first.dlq`);
    const keep = together(scene.keep);
    running = await startDiscovery({
      kafka,
      foreignTopics: [`${own}-foreign`],
      everyMs: 200,
      patienceMs: 5_000,
      // On a shared Kafka there are others'.
      start: (names) =>
        startConsumer({
          kafka,
          groupId: own,
          topics: names.filter((name) => name.startsWith(own)).map((name) => ({ name, schema: null })),
          order: 'by-key',
          handleRaw: keepDeadLetter(scene.codec, keep),
          whenExhausted: 'keep-trying',
          producer,
          log,
          metrics: createMetrics({ service: 'test' }),
          health: createHealth(),
          joinWithinMs: 2_000,
        }),
      log,
    });
  });
  after(async () => {
    await running?.stop();
    await producer?.stop();
    const admin = kafka.admin();
    await admin.connect();
    await admin.deleteTopics({ topics });
    await admin.disconnect();
    await scene?.close();
  });

  it('keeps a letter whose value can be decoded with it, its schema and its tenant', async () => {
    const event = anOrderEvent();
    const encode = await scene.codec.encoder('order_v1');
    const { event_id: id, tenant_id } = event;
    await send(`${own}-first.dlq`, { id, tenant_id }, encode(event));
    const [letter] = await letters(`${own}-first`, 1);
    assert.deepEqual(
      [letter?.tenant_id, letter?.event_id, letter?.event_type],
      [tenant_id, id, 'order_created'],
    );
    const whole = await scene.store.get({ tenant_id, user_id: null }, letter?.id ?? '');
    assert.deepEqual(whole?.letter.decoded, JSON.parse(JSON.stringify(event)));
    assert.equal(whole?.letter.decode_error, null);
    assert.ok((whole?.letter.schema_id ?? 0) > 0);
  });

  it('keeps garbage, an unknown schema, nothing at all, and a tenant that is not the value’s, for the operator', async () => {
    const topic = await makeTopic(`${own}-odd.dlq`);
    const event = anOrderEvent();
    const encode = await scene.codec.encoder('order_v1');
    const unknown = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), Buffer.from('x')]);
    await send(topic, { 'error-message': 'garbage' }, Buffer.from('garbage'));
    await send(topic, { 'error-message': 'unknown' }, unknown);
    await send(topic, { 'error-message': 'null' }, null);
    await send(topic, { 'error-message': 'short' }, encode(event).subarray(0, 20));
    await send(topic, { 'error-message': 'mismatch', tenant_id: anOrderEvent().tenant_id }, encode(event));
    const kept = await letters(`${own}-odd`, 5);
    const whole = await Promise.all(kept.map(({ id }) => scene.store.get(nobody, id)));
    const reasons = whole.map((it) => [
      it?.letter.error_message,
      it?.letter.decode_error,
      it?.letter.tenant_id,
    ]);
    assert.deepEqual(reasons.sort(), [
      ['garbage', 'not_confluent', null],
      ['mismatch', null, null],
      ['null', 'value_null', null],
      ['short', 'malformed_avro', null],
      ['unknown', 'schema_unknown', null],
    ]);
  });

  it('finds topics that come later, and those of others by setting', async () => {
    const later = await makeTopic(`${own}-later.dlq`);
    await send(later, {}, Buffer.from('x'));
    await letters(`${own}-later`, 1);
    const foreign = await makeTopic(`${own}-foreign`);
    const partition = Buffer.alloc(4);
    const group = `${own}-billing`;
    const said = { 'kafka_dlt-original-topic': 'o', 'kafka_dlt-original-consumer-group': group };
    await producer.send(foreign, [
      { key: null, value: null, headers: { ...said, 'kafka_dlt-original-partition': partition } },
    ]);
    const [letter] = await letters(group, 1);
    assert.equal(letter?.source, 'spring');
  });

  it('goes on without a topic that is deleted, and with those that come after it', async () => {
    const admin = kafka.admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [`${own}-first.dlq`] });
    await admin.disconnect();
    topics.splice(topics.indexOf(`${own}-first.dlq`), 1);
    // kafkajs asks for all topics that a producer has ever written to, and this one has written to what is gone.
    const fresh = await startProducer({ kafka, log });
    try {
      await send(await makeTopic(`${own}-last.dlq`), {}, Buffer.from('x'), fresh);
      await letters(`${own}-last`, 1);
    } finally {
      await fresh.stop();
    }
  });

  async function makeTopic(topic: string): Promise<string> {
    topics.push(topic);
    const admin = kafka.admin();
    await admin.connect();
    await makeTopics(admin, [{ topic, numPartitions: 2 }]);
    await admin.disconnect();
    return topic;
  }

  async function send(topic: string, headers: Headers, value: Buffer | null, by = producer): Promise<void> {
    const group = topic.replace(/\.dlq$/, '');
    const record = aRecord({ 'original-group': group, ...headers });
    const buffers = Object.entries(record.headers).map(([name, it]) => [name, Buffer.from(String(it))]);
    await by.send(topic, [{ key: record.key, value, headers: Object.fromEntries(buffers) }]);
  }

  function letters(group: string, count: number) {
    return eventually(
      async () => {
        const { rows } = await scene.store.list(nobody, filterFrom({ group }), {
          before: undefined,
          limit: 50,
        });
        assert.equal(rows.length, count);
        return rows;
      },
      { withinMs: 30_000 },
    );
  }
});
