/**
 * orders: the catalogue, what things cost, and the orders themselves.
 *
 *   REST ─ decide ─ one transaction: order + orders.outbox ─ connector ─ orders.v1, catalog.v1
 */
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import { SettingsError } from '@ragline/runtime/settings';
import { startTracing } from '@ragline/runtime/tracing';
import { createCodec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { createCursorSealer } from '@ragline/streams/cursor';
import { startPosition } from '@ragline/streams/position';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { watchBacklog } from './backlog.ts';
import { buildApp } from './build.ts';
import { configFaults, readConfig } from './config.ts';
import { startHousekeeping } from './maintenance.ts';
import { followRevocations } from './revoked.ts';
import { connectSharedCache } from './shared-cache.ts';

const config = readConfig(process.env);
const log = createLogger({ service: 'orders', level: config.logLevel, instance: config.instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  const faults = configFaults(config);
  if (faults.length > 0) throw new SettingsError(faults);
  const { host, port, instance } = config;

  own(startTracing({ service: 'orders', instance, endpoint: config.tracesEndpoint }), (it) => it.stop());
  const metrics = createMetrics({ service: 'orders' });
  const health = createHealth();
  const pool = own(
    createPool({
      url: config.databaseUrl,
      max: config.databasePool,
      applicationName: instance,
      log,
      metrics,
    }),
    (it) => it.end(),
  );
  health.check('postgres', async () => void (await pool.query('SELECT')));

  const { redisUrl } = config;
  const shared = redisUrl === undefined ? undefined : connectSharedCache({ url: redisUrl, log, metrics });
  if (shared === undefined) log.info('no REDIS_URL: the catalogue is cached in this process alone');
  else own(shared, (it) => it.stop());

  const backlog = own(watchBacklog({ pool, slot: config.replicationSlot, log, metrics }), (it) => it.stop());
  own(startHousekeeping({ pool, log }), (it) => it.stop());
  const position = own(
    await startPosition({
      kafka: config.kafka,
      clientId: instance,
      topic: topics.orders.name,
      sealer: createCursorSealer({ keys: config.cursorKeys }),
      log,
    }),
    (it) => it.stop(),
  );

  const codec = createCodec({ registryUrl: config.registryUrl });
  const { kafka } = config;
  const { isRevoked } = own(followRevocations({ kafka, clientId: instance, codec, log }), (it) => it.stop());
  const app = await buildApp({
    pool,
    codec,
    shared,
    authentication: createAuthentication({ ...config, log, isRevoked }),
    backlog,
    position: () => position.header(),
    quoteSecret: config.quoteSecret,
    log,
    metrics,
    health,
  });
  own(await startServer({ handler: app, port, host, log }), (it) => it.close());
  own(health, (it) => it.stopping());
});
