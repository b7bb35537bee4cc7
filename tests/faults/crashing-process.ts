/**
 * A member of a group of a test's own as a process, whose handler obeys failpoints: group, topic, order, delays, what
 * becomes of a dead head and the database are arguments. Tells its parent each record that it has handled.
 */
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { endWhenStuck } from '@ragline/runtime/stuck';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { stack } from '../support/stack.ts';

const [groupId = '', topic = '', order = '', delays = '', deadHead = '', databaseUrl = ''] =
  process.argv.slice(2);
endWhenStuck({ afterMs: 1_000 });
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = createMetrics({ service: 'test' });
const kafka = createKafka({ ...stack().kafka, clientId: 'test', log: quiet });
const pool = createPool({ url: databaseUrl, max: 8, applicationName: groupId, log: quiet, metrics });

const running = await startConsumer({
  kafka,
  groupId,
  topics: [{ name: topic, schema: 'order_v1' }],
  order: order === 'none' ? 'none' : 'by-key',
  codec: createCodec({ registryUrl: stack().registryUrl }),
  async handle({ event_id }, { once }) {
    await once(async () => undefined);
    process.send?.(event_id);
    return 'handled';
  },
  pool,
  retry: { delaysMs: delays.split(',').map(Number), jitterMs: 0 },
  deadHead: deadHead === 'wait' ? 'wait' : 'skip',
  failpoints: true,
  producer: await startProducer({ kafka, log: quiet }),
  log: quiet,
  metrics,
});
process.send?.('ready');
process.on('message', async () => {
  await running.stop();
  process.exit(0);
});
