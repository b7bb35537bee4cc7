/**
 * bench orders: POST /v1/orders at the service's own port, beside bare servers that verify the same tokens and
 * write the same rows to the same tables; then through the gateway.
 *
 * Connect is paused for all: what it costs is the same for all, and it would compete for the same two cores. The
 * variants take turns in each round, so that a slow minute of the machine is everybody's.
 */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readSlot } from '@ragline/postgres/slot';
import type { Command } from 'commander';
import pg from 'pg';
import { z } from 'zod';
import { pauseConnector } from '../parts/apply-connector.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { placeOrders } from './parts/load.ts';
import { line, median, percentile, round, tell } from './parts/numbers.ts';
import { type RunningServer, startServer } from './parts/server.ts';
import { audience, type BenchTokens, issuer, startTokens } from './parts/tokens.ts';

type Options = { clients: string; rounds: string; seconds: string; warmup: string; gateway: boolean };
type Variant = { name: string; server: RunningServer };
type Figures = { per_s: number; p50_ms: number; p95_ms: number; cpu_us_per_order: number; cpu_share: number };

const services = join(import.meta.dirname, '../../../services');
const peers = join(import.meta.dirname, 'peers');

export function register(bench: Command): void {
  bench
    .command('orders')
    .description(
      'POST /v1/orders beside bare Express 5 (five statements, and one) and Fastify 5; and the gateway’s cost.',
    )
    .option('--clients <count>', 'connections', '100')
    .option('--rounds <count>', 'rounds; the figures are their medians', '5')
    .option('--seconds <count>', 'length of a measurement', '8')
    .option('--warmup <count>', 'seconds of load before the first round, for each', '5')
    .option('--no-gateway', 'leave the gateway out')
    .action(async (options: Options) => measure(await readSettings(), options));
}

async function measure(settings: Settings, options: Options): Promise<void> {
  const connectUrl = settings.get('CONNECT_URL');
  const tokens = await startTokens();
  const variants: Variant[] = [];
  try {
    for (const [name, start] of Object.entries(makers(settings, tokens))) {
      if (name === 'gateway' && !options.gateway) continue;
      const ours = variants.find((variant) => variant.name === 'ragline')?.server;
      variants.push({ name, server: await start(ours?.origin ?? '') });
    }
    const load = await prepareLoad(variants, tokens, Number(options.clients));
    await pauseConnector({ connectUrl, paused: true });
    for (const { name, server } of variants) {
      tell(`warming up ${name}`);
      await placeOrders({ ...load, origin: server.origin, seconds: Number(options.warmup) });
    }
    const makeRoom = () => drainWhenHalfFull(settings, connectUrl);
    const figures = await takeTurns(
      variants,
      load,
      Number(options.rounds),
      Number(options.seconds),
      makeRoom,
    );
    report(figures, Number(options.clients));
  } finally {
    await pauseConnector({ connectUrl, paused: false });
    for (const { server } of variants.reverse()) await server.stop();
    await tokens.stop();
    await forget(settings, benchTenantId);
  }
}

// One tenant for all variants: its products, so the same lookups.
const benchTenantId = randomUUIDv7();

function makers(
  settings: Settings,
  tokens: BenchTokens,
): Record<string, (ours: string) => Promise<RunningServer>> {
  const judging = { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience };
  const registry = { SCHEMA_REGISTRY_URL: settings.get('SCHEMA_REGISTRY_URL') };
  const peer = (script: string, statements: 'five' | 'one') => () =>
    startServer({
      script: join(peers, script),
      // As the owner, whom no policy holds: row-level security is our cost, not theirs.
      env: {
        ...judging,
        ...registry,
        JWKS: tokens.jwks,
        DATABASE_URL: settings.get('DATABASE_URL'),
        DATABASE_POOL: '16',
        STATEMENTS: statements,
      },
      readyPath: '/healthz',
    });
  return {
    ragline: () =>
      startServer({
        script: join(services, 'orders/src/main.ts'),
        env: { ...judging, ...registry, ...ordersEnv(settings), JWKS_URL: tokens.jwksUrl },
        readyPath: '/readyz',
      }),
    'express-five': peer('express.ts', 'five'),
    'express-one': peer('express.ts', 'one'),
    'fastify-one': peer('fastify.ts', 'one'),
    gateway: (ours) =>
      startServer({
        script: join(services, 'gateway/src/main.ts'),
        env: { ...judging, ...gatewayEnv(settings, ours, tokens), RAGLINE_RATE_LIMITS: 'off' },
        readyPath: '/healthz',
      }),
  };
}

function ordersEnv(settings: Settings): Record<string, string> {
  const optional = (name: string) => {
    const value = settings.find(name);
    return value ? { [name]: value } : {};
  };
  return {
    DATABASE_URL: settings.get('DATABASE_URL_RAGLINE_ORDERS'),
    KAFKA_BROKERS: settings.get('KAFKA_BROKERS'),
    CURSOR_KEYS: '1:a-secret-of-the-benchmark-alone',
    QUOTE_SECRET: 'a-secret-of-the-benchmark-alone!',
    ...optional('KAFKA_USERNAME'),
    ...optional('KAFKA_PASSWORD'),
    ...optional('KAFKA_SASL_MECHANISM'),
    ...optional('REDIS_URL'),
  };
}

/** Only orders is measured through it, so the others are addresses that answer nothing. */
function gatewayEnv(settings: Settings, ours: string, tokens: BenchTokens): Record<string, string> {
  const redis = settings.find('REDIS_URL');
  return {
    ORDERS_URLS: ours,
    IDENTITY_URLS: tokens.origin,
    NOTIFICATIONS_URLS: tokens.origin,
    JWKS_URL: tokens.jwksUrl,
    ...(redis && { REDIS_URL: redis }),
  };
}

type Load = { tokens: string[]; body: string };

/** Three products, made by the service itself, and a customer for each connection. */
async function prepareLoad(
  variants: readonly Variant[],
  tokens: BenchTokens,
  clients: number,
): Promise<Load> {
  const origin = variants.find(({ name }) => name === 'ragline')?.server.origin;
  const staff = await tokens.sign({ tenantId: benchTenantId, userId: randomUUIDv7(), role: 'staff' });
  const ids: string[] = [];
  for (const [name, price] of [
    ['Margherita', 950],
    ['Insalata mista', 620],
    ['Acqua', 300],
  ] as const) {
    const response = await fetch(`${origin}/v1/products`, {
      method: 'POST',
      headers: { authorization: `Bearer ${staff}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, price, currency: 'EUR' }),
    });
    if (response.status !== 201)
      throw new Error(`A product was answered with ${response.status}: ${await response.text()}`);
    ids.push(z.object({ id: z.string() }).parse(await response.json()).id);
  }
  const sign = () => tokens.sign({ tenantId: benchTenantId, userId: randomUUIDv7(), role: 'customer' });
  return {
    tokens: await Promise.all(Array.from({ length: clients }, sign)),
    body: JSON.stringify({ items: ids.map((product_id, index) => ({ product_id, quantity: index + 1 })) }),
  };
}

async function takeTurns(
  variants: readonly Variant[],
  load: Load,
  rounds: number,
  seconds: number,
  makeRoom: () => Promise<void>,
) {
  const figures = new Map<string, Figures[]>(variants.map(({ name }) => [name, []]));
  for (let turn = 1; turn <= rounds; turn += 1) {
    await makeRoom();
    for (const { name, server } of variants) {
      const cpuBefore = server.cpuMs();
      const {
        placed,
        failed,
        seconds: took,
        latenciesMs,
        firstFault,
      } = await placeOrders({ ...load, origin: server.origin, seconds });
      const cpu = server.cpuMs() - cpuBefore;
      if (failed > 0) throw new Error(`${failed} orders failed at ${name}: ${firstFault}`);
      const taken = {
        per_s: round(placed / took),
        p50_ms: round(percentile(latenciesMs, 0.5)),
        p95_ms: round(percentile(latenciesMs, 0.95)),
        cpu_us_per_order: Math.round((cpu * 1000) / placed),
        cpu_share: round(cpu / (took * 1000), 2),
      };
      figures.get(name)?.push(taken);
      tell(`round ${turn}/${rounds} ${name}: ${taken.per_s}/s, p95 ${taken.p95_ms} ms`);
      line({ bench: 'orders', variant: name, round: turn, placed, ...taken });
    }
  }
  return figures;
}

/** Near the slot's cap the service would refuse orders, as it should: between rounds Connect catches up first. */
async function drainWhenHalfFull(settings: Settings, connectUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    const fill = async () => {
      const slot = await readSlot(client);
      return slot?.cap_bytes ? slot.lag_bytes / slot.cap_bytes : 0;
    };
    if ((await fill()) < 0.4) return;
    tell('Connect catches up');
    await pauseConnector({ connectUrl, paused: false });
    while ((await fill()) > 0.02) await pause(500);
    await pauseConnector({ connectUrl, paused: true });
  } finally {
    await client.end();
  }
}

function report(figures: ReadonlyMap<string, readonly Figures[]>, clients: number): void {
  const medians = new Map<string, Figures>();
  for (const [name, rounds] of figures) {
    const of = (field: keyof Figures) => round(median(rounds.map((it) => it[field])), 2);
    const summary = {
      per_s: of('per_s'),
      p50_ms: of('p50_ms'),
      p95_ms: of('p95_ms'),
      cpu_us_per_order: of('cpu_us_per_order'),
      cpu_share: of('cpu_share'),
    };
    medians.set(name, summary);
    line({ bench: 'orders', variant: name, kind: 'median', rounds: rounds.length, clients, ...summary });
  }
  const [ours, five] = [medians.get('ragline'), medians.get('express-five')];
  const bare = [...medians]
    .filter(([name]) => name !== 'ragline' && name !== 'gateway')
    .map(([, it]) => it.per_s);
  if (!ours || !five) return;
  line({
    bench: 'orders',
    kind: 'goal',
    throughput_of_express_five: round(ours.per_s / five.per_s, 2),
    p95_of_express_five: round(ours.p95_ms / five.p95_ms, 2),
    cpu_of_express_five: round(ours.cpu_us_per_order / five.cpu_us_per_order, 2),
    throughput_of_best_peer: round(ours.per_s / Math.max(...bare), 2),
    wanted: 'throughput ≥ 1, p95 ≤ 1 and CPU ≤ 1 of express-five, throughput ≥ 0.9 of the best peer',
  });
  const gateway = medians.get('gateway');
  if (!gateway) return;
  line({
    bench: 'orders',
    kind: 'gateway-cost',
    throughput_of_direct: round(gateway.per_s / ours.per_s, 2),
    p50_more_ms: round(gateway.p50_ms - ours.p50_ms),
    p95_more_ms: round(gateway.p95_ms - ours.p95_ms),
    gateway_cpu_us_per_order: gateway.cpu_us_per_order,
  });
}

/** Takes the tenant's rows away again; its events stay in the outbox, as all events do. */
async function forget(settings: Settings, tenantId: string): Promise<void> {
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    for (const table of ['order_item', 'orders', 'order_key', 'product', 'idempotency']) {
      await client.query(`DELETE FROM orders.${table} WHERE tenant_id = $1`, [tenantId]);
    }
  } finally {
    await client.end();
  }
}
