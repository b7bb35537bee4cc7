/**
 * bench orders: POST /v1/orders at the service's own port, beside bare servers that verify the same tokens and
 * write the same rows to the same tables; then through the gateway.
 *
 * Connect is paused for all: what it costs is the same for all, and it would compete for the same two cores. The
 * variants take turns in each round, so that a slow minute of the machine is everybody's.
 */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { pauseConnector } from '../parts/apply-connector.ts';
import { line, median, percentile, round, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { placeOrders } from './parts/load.ts';
import { drainWhenHalfFull, forgetTenant, readPostgresCpu } from './parts/postgres.ts';
import { type RunningServer, startServer } from './parts/server.ts';
import { audience, type BenchTokens, issuer, startTokens } from './parts/tokens.ts';

type Options = { clients: string; rounds: string; seconds: string; warmup: string; gateway: boolean };
type Variant = { name: string; server: RunningServer };
type Figures = {
  per_s: number;
  p50_ms: number;
  p95_ms: number;
  /** Of the server's Node process; the two below are what shares the machine with it. */
  cpu_us_per_order: number;
  cpu_share: number;
  postgres_cpu_us_per_order: number;
  load_cpu_us_per_order: number;
};

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
    const figures = await takeTurns(variants, {
      load,
      rounds: Number(options.rounds),
      seconds: Number(options.seconds),
      makeRoom: () => drainWhenHalfFull(settings.get('DATABASE_URL'), connectUrl),
      postgresCpuMs: () => readPostgresCpu(settings.get('DATABASE_URL')),
    });
    report(figures, Number(options.clients));
  } finally {
    await pauseConnector({ connectUrl, paused: false });
    for (const { server } of variants.reverse()) await server.stop();
    await tokens.stop();
    await forgetTenant(settings.get('DATABASE_URL'), benchTenantId);
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

type Turns = {
  load: Load;
  rounds: number;
  seconds: number;
  makeRoom: () => Promise<void>;
  postgresCpuMs: () => Promise<number>;
};

async function takeTurns(variants: readonly Variant[], turns: Turns): Promise<Map<string, Figures[]>> {
  const { rounds, makeRoom } = turns;
  const figures = new Map<string, Figures[]>(variants.map(({ name }) => [name, []]));
  for (let turn = 1; turn <= rounds; turn += 1) {
    await makeRoom();
    // Each round begins with another one, so that nobody always follows the same neighbour.
    for (const index of variants.keys()) {
      const variant = variants[(index + turn) % variants.length];
      if (variant === undefined) continue;
      const { name } = variant;
      const { placed, ...taken } = await takeTurn(variant, turns);
      figures.get(name)?.push(taken);
      tell(`round ${turn}/${rounds} ${name}: ${taken.per_s}/s, p95 ${taken.p95_ms} ms`);
      line({ bench: 'orders', variant: name, round: turn, placed, ...taken });
    }
  }
  return figures;
}

async function takeTurn(
  { name, server }: Variant,
  { load, seconds, postgresCpuMs }: Turns,
): Promise<Figures & { placed: number }> {
  const before = { server: server.cpuMs(), postgres: await postgresCpuMs(), load: process.cpuUsage() };
  const result = await placeOrders({ ...load, origin: server.origin, seconds });
  const { placed, failed, latenciesMs, firstFault } = result;
  const loadCpu = process.cpuUsage(before.load);
  const cpu = server.cpuMs() - before.server;
  const postgresCpu = (await postgresCpuMs()) - before.postgres;
  if (failed > 0) throw new Error(`${failed} orders failed at ${name}: ${firstFault}`);
  const each = (ms: number) => Math.round((ms * 1000) / placed);
  return {
    placed,
    per_s: round(placed / result.seconds),
    p50_ms: round(percentile(latenciesMs, 0.5)),
    p95_ms: round(percentile(latenciesMs, 0.95)),
    cpu_us_per_order: each(cpu),
    cpu_share: round(cpu / (result.seconds * 1000), 2),
    postgres_cpu_us_per_order: each(postgresCpu),
    load_cpu_us_per_order: each((loadCpu.user + loadCpu.system) / 1000),
  };
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
      postgres_cpu_us_per_order: of('postgres_cpu_us_per_order'),
      load_cpu_us_per_order: of('load_cpu_us_per_order'),
    };
    medians.set(name, summary);
    line({ bench: 'orders', variant: name, kind: 'median', rounds: rounds.length, clients, ...summary });
  }
  const [ours, five] = [medians.get('ragline'), medians.get('express-five')];
  if (!ours || !five) return;
  const best = [...medians]
    .filter(([name]) => name !== 'ragline' && name !== 'gateway')
    .reduce((one, other) => (other[1].per_s > one[1].per_s ? other : one));
  line({
    bench: 'orders',
    kind: 'goal',
    throughput_of_express_five: round(ours.per_s / five.per_s, 2),
    p95_of_express_five: round(ours.p95_ms / five.p95_ms, 2),
    cpu_of_express_five: round(ours.cpu_us_per_order / five.cpu_us_per_order, 2),
    throughput_of_best_peer: round(ours.per_s / best[1].per_s, 2),
    wanted: 'throughput ≥ 1, p95 ≤ 1 and CPU ≤ 1 of express-five, throughput ≥ 0.9 of the best peer',
  });
  // Both cores are busy, so what an order costs on them in all is what decides.
  line({
    bench: 'orders',
    kind: 'where-the-time-goes',
    beside: best[0],
    more_us_of_node: round(ours.cpu_us_per_order - best[1].cpu_us_per_order),
    more_us_of_postgres: round(ours.postgres_cpu_us_per_order - best[1].postgres_cpu_us_per_order),
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
