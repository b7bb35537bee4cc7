/** A member of a group that keeps order as a process of its own, which a test may kill and freeze. */
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { stack } from '../support/stack.ts';
import { delaysMs, temperOf } from './parking-temper.ts';

const [groupId = '', topic = '', databaseUrl = ''] = process.argv.slice(2);
// Nobody is left to stop it.
process.on('disconnect', () => process.exit(1));

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const { kafka: access, registryUrl } = stack();
const kafka = createKafka({ ...access, clientId: 'test', log: quiet });
const metrics = createMetrics({ service: 'test' });
const pool = createPool({ url: databaseUrl, max: 8, applicationName: groupId, log: quiet, metrics });

await startConsumer({
  kafka,
  groupId,
  topics: [{ name: topic, schema: 'order_v1' }],
  order: 'by-key',
  codec: createCodec({ registryUrl }),
  pool,
  concurrency: 6,
  retry: { delaysMs, jitterMs: 50 },
  // The group is poisoned on purpose.
  floodGuard: false,
  async handle({ event_id, key, value }, { attempt, once }) {
    const temper = temperOf(event_id);
    // Half of the failures come before the transaction, half inside it.
    if (temper.failsBefore(attempt)) throw new Error('failed before its effect');
    if (!('order' in value)) return 'ignored';
    const { version } = value.order;
    const done = await once(async (client) => {
      await client.query('INSERT INTO faults.effect (key, version, event_id, pid) VALUES ($1, $2, $3, $4)', [
        key,
        version,
        event_id,
        process.pid,
      ]);
      // Long enough for a kill or a freeze to find transactions open.
      await client.query('SELECT pg_sleep($1)', [temper.effectMs / 1_000]);
      if (temper.failsInside(attempt)) throw new Error('failed inside its effect');
      return true;
    });
    return done ? 'handled' : 'duplicate';
  },
  producer: await startProducer({ kafka, log: quiet }),
  log: quiet,
  metrics,
});
process.send?.('ready');
