/**
 * dead-letters: keeps what consumer groups gave up on, until a person decides.
 *
 *   <group>.dlq (all of them) → group dead-letters → letters → REST
 *   replay, discard, edit → the group's line or <group>.replay; outcomes from its line and inbox
 *   each change → outbox → dead_letters.v1
 */
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import { startTracing } from '@ragline/runtime/tracing';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { startWatch } from './alert-watch.ts';
import { startBatchRunner } from './batch-runner.ts';
import { readConfig } from './config.ts';
import { groupId, keepDeadLetter, together } from './consumer.ts';
import { startDiscovery } from './discover.ts';
import { writerSchemas } from './edit-schema.ts';
import { addLetterRoutes } from './http.ts';
import { addActionRoutes } from './http-actions.ts';
import { addAlertRoutes } from './http-alerts.ts';
import { addBatchRoutes } from './http-batches.ts';
import { addExportRoutes } from './http-export.ts';
import { addParkedRoutes } from './http-parked.ts';
import { keepLetters } from './letter-keep.ts';
import { maskOf } from './letter-view.ts';
import { keepHouse } from './maintenance.ts';
import { memoized } from './memoized.ts';
import { startReplayProducer } from './replay-producer.ts';
import { startReplaySender } from './replay-sender.ts';
import { startSettler } from './settle.ts';
import { letterStore } from './store.ts';

const housekeepingMs = 600_000;
const keptAtOnce = 500;
const joinWithinMs = 5_000;

const config = readConfig(process.env);
const { instance } = config;
const log = createLogger({ service: 'dead-letters', level: config.logLevel, instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  own(startTracing({ service: 'dead-letters', instance, endpoint: config.otlpEndpoint }), (it) => it.stop());
  const metrics = createMetrics({ service: 'dead-letters' });
  const health = createHealth();
  const { databaseUrl: url, databasePool: max } = config;
  const pool = own(createPool({ url, max, applicationName: instance, log, metrics }), (it) => it.end());
  const codec = createCodec({ registryUrl: config.registryUrl });
  const encoder = memoized(() => codec.encoder('dead_letter_v1'));
  const store = letterStore(pool);
  const mask = maskOf(config.sensitiveHeaders);
  const kafka = createKafka({ ...config.kafka, clientId: instance, log });
  const producer = own(await startProducer({ kafka, log }), (it) => it.stop());
  const { jwksUrl, tokenIssuer: issuer, tokenAudience: audience } = config;
  const authentication = createAuthentication({ jwksUrl, issuer, audience, log });

  const api = createApi({ title: 'RAGline dead letters', authentication });
  addAlertRoutes(api, { pool });
  addExportRoutes(api, { pool, mask, log });
  const { foreignReplayTopics } = config;
  // Of its own: one of the groups' topics that goes away must not reach the consumer's.
  const replayProducer = own(startReplayProducer({ kafka, log }), (it) => it.stop());
  const sender = own(
    startReplaySender({ pool, producer: replayProducer, foreignReplayTopics, encoder, log }),
    (it) => it.stop(),
  );
  const acting = { pool, encoder, foreignReplayTopics, log };
  addBatchRoutes(api, {
    pool,
    idempotency: createIdempotencyStore(pool, 'dead_letters'),
    foreignReplayTopics,
  });
  addParkedRoutes(api, { pool });
  const schemas = writerSchemas({ registryUrl: config.registryUrl });
  addActionRoutes(api, { ...acting, sender, schemas, mask, isEditing: config.editing });
  // After all others: its {id} takes any word.
  addLetterRoutes({ api, store, mask });
  const { app } = createApp({ service: 'dead-letters', log, metrics, health, api });
  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  own(
    every(housekeepingMs, () => keepHouse(pool, config.letterRetentionDays)),
    (it) => clearInterval(it),
  );
  own(await startServer({ handler: app, port: config.port, host: config.host, log }), (it) => it.close());
  const runner = own(startBatchRunner({ ...acting, sender, onSent: () => settler.hurry() }), (it) =>
    it.stop(),
  );
  const settler = own(startSettler({ pool, encoder, log, onSettled: runner.hurry }), (it) => it.stop());
  own(startWatch({ pool, encoder, target: config.alertTarget, log, metrics }), (it) => it.stop());

  const keep = together((letters) => keepLetters({ pool, encoder }, letters));
  own(
    await startDiscovery({
      kafka,
      foreignTopics: config.foreignTopics,
      everyMs: config.discoverEveryMs,
      start: (names) =>
        startConsumer({
          kafka,
          groupId,
          topics: names.map((name) => ({ name, schema: null })),
          order: 'by-key',
          handleRaw: keepDeadLetter(codec, keep),
          // Nobody stands behind this service: a letter that cannot be kept is tried until it can.
          whenExhausted: 'keep-trying',
          producer,
          log,
          metrics,
          health,
          // Letters at a time, which share a transaction; they need one connection.
          concurrency: keptAtOnce,
          stopWithinMs: Math.floor(config.stopWithinMs * 0.4),
          // A topic that is gone lets no join succeed: then they are listed again.
          joinWithinMs,
        }),
      log,
    }),
    (it) => it.stop(),
  );
  // The last to be owned: stopping begins with saying so.
  own(health, (it) => it.stopping());
});

/** Runs the work now and then, on every instance: it harms nobody when two do it. */
function every(ms: number, work: () => Promise<unknown>): NodeJS.Timeout {
  const run = () => work().catch((error: unknown) => log.warn('housekeeping failed', { error }));
  void run();
  return setInterval(run, ms);
}
