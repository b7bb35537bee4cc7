import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { createCursorSealer } from './cursor.ts';
import { createKafka } from './kafka-client.ts';
import { makeTopics } from './make-topics.ts';
import { startPosition } from './position.ts';

describe('the position of a topic', function () {
  this.timeout(60_000);
  const log = createLogger({ service: 'test', level: 'error' });
  const topic = `test-position-${randomUUID().slice(0, 8)}`;
  const sealer = createCursorSealer({ keys: '1:a secret of this test' });
  const { kafka: access } = stack();
  const kafka = createKafka({ ...access, clientId: 'test-position', log });
  const admin = kafka.admin();
  const producer = kafka.producer();

  before(async () => {
    await Promise.all([admin.connect(), producer.connect()]);
    await makeTopics(admin, [{ topic, numPartitions: 2 }]);
  });
  after(async () => {
    await admin.deleteTopics({ topics: [topic] });
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });

  it('follows the end of the topic', async () => {
    const position = await startPosition({
      kafka: access,
      clientId: 'test',
      topic,
      sealer,
      log,
      refreshMs: 20,
    });
    const next = () => sealer.open(position.header() ?? '')?.[0]?.next;
    try {
      await eventually(() => assert.deepEqual(next(), [0, 0]));
      await producer.send({
        topic,
        messages: [
          { partition: 1, value: 'a' },
          { partition: 1, value: 'b' },
        ],
      });
      await eventually(() => assert.deepEqual(next(), [0, 2]));
    } finally {
      await position.stop();
    }
  });

  it('is not known while Kafka was never reached, and nobody waits for it', async () => {
    const away = { ...access, brokers: ['127.0.0.1:9'] };
    const position = await startPosition({ kafka: away, clientId: 'test', topic, sealer, log });
    assert.equal(position.header(), undefined);
    await position.stop();
  });
});
