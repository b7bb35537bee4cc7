/** A member of a notifications group as a process of its own, which a test may kill: group and topic are arguments. */
import { createMetrics } from '@ragline/runtime/metrics';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { keepNotifications } from '../../services/notifications/src/consumer.ts';
import { openStore } from '../../services/notifications/src/testing.ts';
import { stack } from '../support/stack.ts';

const [groupId = '', topic = ''] = process.argv.slice(2);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const kafka = createKafka({ ...stack().kafka, clientId: 'test', log: quiet });
const { store, codec, pool } = openStore();

await startConsumer({
  kafka,
  groupId,
  topics: [{ name: topic, schema: 'order_v1' }],
  order: 'by-key',
  codec,
  handleBatch: keepNotifications(store),
  pool,
  // Small batches, so that a kill finds some of them open.
  batchMax: 20,
  concurrency: 3,
  producer: await startProducer({ kafka, log: quiet }),
  log: quiet,
  metrics: createMetrics({ service: 'test' }),
});
process.send?.('ready');
