/** The gateway as a whole, built from its settings; main.ts and the tests start it alike. */
import type { Logger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import type { Own } from '@ragline/runtime/run-service';
import { createAuthentication } from '@ragline/web/auth';
import { buildAsyncApi } from './asyncapi.ts';
import { createBodyReader } from './body.ts';
import type { Config } from './config.ts';
import { readFiles } from './files.ts';
import { createHttp } from './http.ts';
import { startRateLimits } from './limits.ts';
import { startMetricsServer } from './metrics-server.ts';
import { startOpenApi } from './openapi.ts';
import { createOwnRoutes } from './own-routes.ts';
import { createSecurityHeaders } from './security-headers.ts';
import { noSentinel, type Sentinel, startSentinel } from './sentinel.ts';
import { startGatewayServer } from './server.ts';
import { readiness, systemStatus } from './status.ts';
import { createStreams } from './stream.ts';
import { createTunnels } from './tunnel.ts';
import { startUpstreams } from './upstreams.ts';

/** Starts all of it; what was started is handed to `own`, which stops it in reverse. */
export async function startGateway(config: Config, log: Logger, own: Own): Promise<{ port: number }> {
  const startedAt = Date.now();
  const metrics = createMetrics({ service: 'gateway' });
  const upstreams = own(
    await startUpstreams({
      urls: config.upstreams,
      pollEveryMs: config.pollEveryMs,
      upstreamTimeoutMs: config.upstreamTimeoutMs,
      log,
    }),
    (it) => it.stop(),
  );
  const limits = own(
    await startRateLimits({
      enabled: config.rateLimits,
      redisUrl: config.redisUrl,
      address: config.rateLimitAddress,
      tenant: config.rateLimitTenant,
      log,
    }),
    (it) => it.stop(),
  );
  const authentication = createAuthentication({
    jwksUrl: new URL('/.well-known/jwks.json', config.upstreams.identity[0]).href,
    issuer: config.tokenIssuer,
    audience: config.tokenAudience,
    log,
  });
  const secure = config.publicUrl?.startsWith('https:') ?? false;
  const timing = { upstreams, log, answerWithinMs: config.upstreamTimeoutMs };
  const streams = createStreams({ ...timing, holdMs: config.streamHoldMs });
  const tunnels = createTunnels(timing);
  const parts = { log, metrics, upstreams, streams, tunnels, limits, authentication, secure };

  let isStopping = false;
  // The real one starts after the server that it calls, whose routes ask for it from the start.
  let sentinel: Sentinel = noSentinel;
  const ready = () => readiness(upstreams, sentinel, isStopping);
  const ownRoutes = createOwnRoutes({
    upstreams,
    authentication,
    log,
    ready,
    system: () =>
      systemStatus({
        upstreams,
        sentinel,
        versions: openApi.versions(),
        instance: config.instance,
        startedAt,
        rateLimits: limits.store,
        open: { streams: streams.open(), held: streams.held(), sockets: tunnels.open() },
      }),
  });
  const openApi = own(
    startOpenApi({
      upstreams,
      log,
      onChange: (document) => ownRoutes.setDocument('/openapi.json', document),
    }),
    (it) => it.stop(),
  );

  ownRoutes.setDocument('/asyncapi.json', buildAsyncApi());

  const http = createHttp({
    ...parts,
    answerWithinMs: config.answerTimeoutMs,
    own: ownRoutes,
    files: await readFiles(),
    bodies: createBodyReader({
      maxBytes: config.bodyMaxBytes,
      withinMs: config.bodyTimeoutMs,
      allMaxBytes: config.bodiesMaxBytes,
    }),
    securityHeaders: createSecurityHeaders({ secure }),
  });
  const gauges = openGauges(metrics);
  const observe = () => {
    sentinel.observe();
    gauges.set({ kind: 'stream' }, streams.open());
    gauges.set({ kind: 'stream_held' }, streams.held());
    gauges.set({ kind: 'socket' }, tunnels.open());
  };
  if (config.metricsPort !== undefined) {
    const { metricsHost: host, metricsPort: port } = config;
    own(await startMetricsServer({ host, port, metrics, observe, ready }), (it) => it.close());
  }
  const server = own(await startGatewayServer({ ...config, log, ...http }), async (it) => {
    isStopping = true;
    const closed = it.close();
    streams.cut();
    await tunnels.cut(Math.min(1_000, config.stopWithinMs / 4));
    const timer = setTimeout(() => it.cut(), config.stopWithinMs / 2);
    await closed;
    clearTimeout(timer);
  });
  sentinel = own(
    startSentinel({
      ...config.sentinel,
      origin: `http://${loopbackOf(config.host)}:${server.port}`,
      notifications: upstreams.of('notifications'),
      log,
      metrics,
    }),
    (it) => it.stop(),
  );
  return { port: server.port };
}

function openGauges(metrics: ReturnType<typeof createMetrics>) {
  return metrics.gauge('ragline_gateway_open', 'Open streams and sockets, and streams that wait.', ['kind']);
}

/** Where this machine reaches a server that listens on `host`. */
function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host.includes(':') ? (host === '::' ? '[::1]' : `[${host}]`) : host;
}
