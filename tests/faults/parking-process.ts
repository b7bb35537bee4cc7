/** A member of a group that keeps order as a process of its own, which a test may kill and freeze. */
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Attempt, BatchAttempt } from '@ragline/streams/task';
import type { PoolClient } from 'pg';
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

function failBefore({ event_id }: DecodedEvent, attempt: number): void {
  // Half of the failures come before the transaction, half inside it.
  if (temperOf(event_id).failsBefore(attempt)) throw new Error('failed before its effect');
}

async function effect(client: PoolClient, { event_id, key, value }: DecodedEvent, attempt: number) {
  if (!('order' in value)) return;
  const temper = temperOf(event_id);
  await client.query('INSERT INTO faults.effect (key, version, event_id, pid) VALUES ($1, $2, $3, $4)', [
    key,
    value.order.version,
    event_id,
    process.pid,
  ]);
  // Long enough for a kill or a freeze to find transactions open.
  await client.query('SELECT pg_sleep($1)', [temper.effectMs / 1_000]);
  if (temper.failsInside(attempt)) throw new Error('failed inside its effect');
}

async function handle(event: DecodedEvent, { attempt, once }: Attempt): Promise<string> {
  failBefore(event, attempt);
  const done = await once(async (client) => {
    await effect(client, event, attempt);
    return true;
  });
  return done ? 'handled' : 'duplicate';
}

async function handleBatch(events: readonly DecodedEvent[], { attempt, once }: BatchAttempt) {
  for (const event of events) failBefore(event, attempt);
  return once(async (client, fresh) => {
    for (const event of events) if (fresh.has(event.event_id)) await effect(client, event, attempt);
    return events.map(({ event_id }) => (fresh.has(event_id) ? 'handled' : 'duplicate'));
  });
}

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
  // Some processes try heads of several lines together, others each by itself.
  ...(process.pid % 2 === 0 ? { handleBatch } : { handle }),
  producer: await startProducer({ kafka, log: quiet }),
  log: quiet,
  metrics,
});
process.send?.('ready');
