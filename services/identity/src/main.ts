/**
 * identity: who there is, who is signed in, and the keys by which everybody can tell.
 *
 *   REST → Postgres (users, sessions, keys) → access tokens, JWKS, tickets
 *   what is revoked → identity.outbox → identity.revocations.v1 → sockets are cut
 */
import { createIdempotencyStore, pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import { SettingsError } from '@ragline/runtime/settings';
import { startTracing } from '@ragline/runtime/tracing';
import { createCodec } from '@ragline/schemas/codec';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { accessTokenSeconds, accessTokens } from './access-tokens.ts';
import { configFaults, readConfig } from './config.ts';
import { delegation } from './delegation.ts';
import { sampleLogins } from './demo.ts';
import { addAuthRoutes, addInternalRoutes } from './http.ts';
import { addAdminRoutes } from './http-admin.ts';
import { startKeyRing } from './key-ring.ts';
import { keyStore } from './key-store.ts';
import { connectRedis, loginLimits } from './login-limits.ts';
import { revocations } from './revocations.ts';
import { type SessionStore, sessionStore } from './session-store.ts';
import { signIn } from './sign-in.ts';
import { createTurns } from './turns.ts';
import { users } from './users.ts';

const housekeepingMs = 600_000;
const sweptAtOnce = 5_000;
// A key stays published until its last token has ended, with a minute for clocks that differ.
const keyKeptMs = (accessTokenSeconds + 60) * 1000;

const config = readConfig(process.env);
const log = createLogger({ service: 'identity', level: config.logLevel, instance: config.instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  const faults = configFaults(config);
  if (faults.length > 0) throw new SettingsError(faults);

  own(startTracing({ service: 'identity', endpoint: config.tracesEndpoint }), (it) => it.stop());
  const metrics = createMetrics({ service: 'identity' });
  const health = createHealth();
  const pool = own(
    createPool({
      url: config.databaseUrl,
      max: config.databasePool,
      applicationName: config.instance,
      log,
      metrics,
    }),
    (it) => it.end(),
  );
  const redis = config.redisUrl && own(connectRedis(config.redisUrl, log), (it) => it.destroy());
  const codec = createCodec({ registryUrl: config.registryUrl });

  const keys = own(
    await startKeyRing({
      store: keyStore(pool),
      secret: config.keyEncryptionSecret,
      policy: { lifetimeMs: config.keys.lifetimeMs, leadMs: config.keys.leadMs, keepMs: keyKeptMs },
      refreshMs: config.keys.refreshMs,
      log,
    }),
    (it) => it.stop(),
  );
  const { issuer, audience } = config;
  const sessions = sessionStore(pool, config.sessions);
  if (config.production) await refuseSampleUsers(sessions);
  const revoked = revocations({ codec, metrics });
  const turns = createTurns({
    atOnce: config.passwordHashesAtOnce,
    waitingMax: config.passwordHashesWaiting,
    metrics,
  });
  const tokens = accessTokens({ keys, issuer, audience });
  const signedIn = signIn({
    store: sessions,
    tokens,
    limits: loginLimits(config.loginLimits, redis || undefined),
    turns,
    revocations: revoked,
    log,
    metrics,
  });

  // The keys are at hand: asking ourselves for them over HTTP would fail just when this instance starts.
  const authentication = createAuthentication({ jwksUrl: '', issuer, audience, log, keys: keys.source });
  const api = createApi({ title: 'RAGline identity', authentication });
  addAuthRoutes({
    api,
    authentication,
    signIn: signedIn,
    keys,
    jwksMaxAgeSeconds: Math.min(300, Math.floor(config.keys.leadMs / 2_000)),
  });
  const { delegationSecret } = config;
  addInternalRoutes({
    api,
    signIn: signedIn,
    delegation:
      delegationSecret === undefined ? undefined : delegation({ pool, tokens, secret: delegationSecret }),
  });
  addAdminRoutes({
    api,
    users: users({ pool, turns, revocations: revoked }),
    pool,
    turns,
    idempotency: createIdempotencyStore(pool, 'identity'),
    secret: config.keyEncryptionSecret,
  });

  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  // Until the schema was looked up once, nothing could be revoked.
  health.check('registry', async () => void (await revoked.lookUp()));

  const { trustedProxies: trustProxy } = config;
  const { app } = createApp({ service: 'identity', log, metrics, health, api, trustProxy });

  own(
    every(housekeepingMs, async () => {
      await maintainOutbox(pool, 'identity');
      await pruneIdempotency(pool, 'identity');
      const rows = await sessions.sweep(sweptAtOnce);
      if (rows > 0) log.info('expired rows removed', { rows });
    }),
    (it) => clearInterval(it),
  );
  own(await startServer({ handler: app, port: config.port, host: config.host, log }), (it) => it.close());
  own(health, (it) => it.stopping());
});

/** Their names are public and their password was printed on somebody's screen. */
async function refuseSampleUsers({ findLogin }: SessionStore): Promise<void> {
  for (const { tenant, email } of sampleLogins) {
    if (await findLogin(tenant, email)) throw new Error(`Sample users are refused in production: ${email}`);
  }
}

/** Runs the work now and then, on every instance: it harms nobody when two do it. */
function every(ms: number, work: () => Promise<void>): NodeJS.Timeout {
  const run = () => work().catch((error: unknown) => log.warn('housekeeping failed', { error }));
  void run();
  return setInterval(run, ms);
}
