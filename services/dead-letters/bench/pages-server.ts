/** The service's routes that read letters, on a database of a measurement's own: no consumer, no settler. */
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { addLetterRoutes } from '../src/http.ts';
import { maskOf, sensitiveHeaders } from '../src/letter-view.ts';
import { letterStore } from '../src/store.ts';

const { DATABASE_URL = '', JWKS_URL = '', TOKEN_ISSUER = '', TOKEN_AUDIENCE = '', PORT = '0' } = process.env;
const log = createLogger({ service: 'bench', level: 'error' });
const metrics = createMetrics({ service: 'bench' });
const pool = createPool({ url: DATABASE_URL, applicationName: 'bench-pages', log, metrics });
const judging = { jwksUrl: JWKS_URL, issuer: TOKEN_ISSUER, audience: TOKEN_AUDIENCE };
const api = createApi({ title: 'Pages', authentication: createAuthentication({ ...judging, log }) });
addLetterRoutes({ api, store: letterStore(pool), mask: maskOf(sensitiveHeaders) });
const { app } = createApp({ service: 'dead-letters', log, metrics, health: createHealth(), api });
const server = await startServer({ handler: app, port: Number(PORT), host: '127.0.0.1', log });
process.once('SIGTERM', async () => {
  await server.close();
  await pool.end();
});
