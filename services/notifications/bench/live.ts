/**
 * `ragline bench live`: what a delivery costs, beside bare `ws` and Socket.IO in the same run, and a storm of
 * resumes. Every server runs in a process of its own, the clients in another. One JSON line a measurement.
 *
 *   node services/notifications/bench/live.ts [--seconds 10] [--rounds 3] [--only sockets|resume]
 *
 * Needs KAFKA_BROKERS (and KAFKA_USERNAME, KAFKA_PASSWORD) and SCHEMA_REGISTRY_URL. Makes topics of its own and
 * deletes them. The plane's figures include Kafka, Avro, the header filter, the ring and sealed cursors; the peers
 * get ready JSON of the same size from their parent. Delays are from the event's making, so the plane's include
 * Kafka; their clock has whole milliseconds.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createLogger } from '@ragline/runtime/logger';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { createKafka } from '@ragline/streams/kafka-client';
import { startTokens } from '../../../tests/support/tokens.ts';
import type { LoadAsk, Report, Resumed } from './live-load.ts';
import type { Ask, Usage } from './live-server.ts';

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
});
const seconds = Number(args.seconds);
const rounds = Number(args.rounds);
const kinds = ['plane', 'ws', 'socket.io'] as const;
type Kind = (typeof kinds)[number];

const scenarios = [
  { sockets: 1_000, perSecond: 50 },
  { sockets: 10_000, perSecond: 2 },
];
const storm = { sockets: 2_000, events: 20 };
const warmUpSeconds = 3;
/** Of the plane's frame around the record's value, so that the peers send as many bytes. */
const cursorLength = 104;

const id = randomUUID().slice(0, 8);
const topics = {
  orders: `bench-live-${id}-orders`,
  notifications: `bench-live-${id}-notifications`,
  revocations: `bench-live-${id}-revocations`,
};
const log = createLogger({ service: 'bench', level: 'error' });
const kafka = createKafka({
  brokers: (process.env.KAFKA_BROKERS ?? '').split(','),
  username: process.env.KAFKA_USERNAME,
  password: process.env.KAFKA_PASSWORD,
  clientId: `bench-live-${id}`,
  log,
});
const admin = kafka.admin();
const producer = kafka.producer();
const encode = await createCodec({ registryUrl: process.env.SCHEMA_REGISTRY_URL ?? '' }).encoder('order_v1');
const tokens = await startTokens();
const tenant_id = randomUUID();
const token = await tokens.token({ tenant_id, roles: ['staff'], lastsMs: 7_200_000 });
const children = new Set<ChildProcess>();

await admin.connect();
await producer.connect();
try {
  await admin.createTopics({
    waitForLeaders: true,
    topics: Object.entries(topics).map(([name, topic]) => ({
      topic,
      numPartitions: name === 'orders' ? 12 : 1,
    })),
  });
  if (args.only !== 'resume') for (const scenario of scenarios) await compare(scenario);
  if (args.only !== 'sockets') await resumeStorm();
} finally {
  for (const child of children) child.disconnect();
  await producer.disconnect();
  await admin.deleteTopics({ topics: Object.values(topics) });
  await admin.disconnect();
  await tokens.stop();
}

/** Rounds of all kinds in turn, so that a busy minute of the machine hits each alike. */
async function compare(scenario: { sockets: number; perSecond: number }): Promise<void> {
  if (!hasDescriptors(scenario.sockets)) return;
  const lines: Record<Kind, Line[]> = { plane: [], ws: [], 'socket.io': [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) lines[kind].push(await measure(kind, scenario));
  }
  const cost = (kind: Kind) => median(lines[kind].map((it) => it.cpu_us_per_delivery));
  for (const kind of kinds) {
    const of = lines[kind];
    print({
      ...{ bench: 'live', kind, ...scenario, rounds, seconds },
      cpu_us_per_delivery: round(cost(kind)),
      of_ws: round(cost(kind) / cost('ws'), 2),
      of_socket_io: round(cost(kind) / cost('socket.io'), 2),
      p50_ms: median(of.map((it) => it.p50_ms)),
      p99_ms: median(of.map((it) => it.p99_ms)),
      rss_per_socket_kib: round(median(of.map((it) => it.rss_per_socket_kib))),
      // RSS has room in it that an earlier peak left; what is reachable has not.
      heap_per_socket_kib: round(median(of.map((it) => it.heap_per_socket_kib))),
      lost: of.reduce((sum, it) => sum + it.lost, 0),
    });
  }
}

type Line = {
  cpu_us_per_delivery: number;
  p50_ms: number;
  p99_ms: number;
  rss_per_socket_kib: number;
  heap_per_socket_kib: number;
  lost: number;
};

async function measure(
  kind: Kind,
  { sockets, perSecond }: { sockets: number; perSecond: number },
): Promise<Line> {
  const server = await startServerProcess(kind);
  const load = start('live-load.ts');
  const empty = await ask<Usage>(server.child, { ask: 'usage' });
  const path = kind === 'socket.io' ? '/socket.io/?EIO=4&transport=websocket' : '/ws/orders';
  const hello = kind === 'socket.io' ? '40' : undefined;
  const withinMs = sockets;
  await ask(load, { ask: 'connect', port: server.port, count: sockets, path, token, hello, withinMs });
  await pause(500);
  const full = await ask<Usage>(server.child, { ask: 'usage' });
  const warm = await publish(server.child, kind, perSecond, warmUpSeconds);
  await received(load, warm * sockets);
  await ask(load, { ask: 'reset' });
  const before = await ask<Usage>(server.child, { ask: 'usage' });
  const sent = await publish(server.child, kind, perSecond, seconds);
  await received(load, sent * sockets);
  const after = await ask<Usage>(server.child, { ask: 'usage' });
  const report = await ask<Report>(load, { ask: 'report' });
  stop(server.child, load);
  return {
    cpu_us_per_delivery: (after.cpuUs - before.cpuUs) / Math.max(1, report.events),
    p50_ms: percentile(report.delaysMs, 50),
    p99_ms: percentile(report.delaysMs, 99),
    rss_per_socket_kib: (full.rssBytes - empty.rssBytes) / sockets / 1024,
    heap_per_socket_kib: (full.heapBytes - empty.heapBytes) / sockets / 1024,
    lost: sent * sockets - report.events,
  };
}

/** Waits for the last of so many events; what has not come after a while is lost. */
async function received(load: ChildProcess, events: number): Promise<void> {
  const until = Date.now() + 10_000;
  while (Date.now() < until && (await ask<Report>(load, { ask: 'report' })).events < events) await pause(100);
}

async function resumeStorm(): Promise<void> {
  if (!hasDescriptors(storm.sockets)) return;
  const server = await startServerProcess('plane');
  const load = start('live-load.ts');
  const { sockets: count, events } = storm;
  const how = { port: server.port, path: '/ws/orders', token, hello: undefined };
  await ask(load, { ask: 'connect', count, withinMs: count, ...how });
  await pause(500);
  const cursors = await ask<string[]>(load, { ask: 'cursors' });
  await ask(load, { ask: 'close' });
  await publish(server.child, 'plane', events, 1);
  await pause(1_000);
  const before = await ask<Usage>(server.child, { ask: 'usage' });
  const resumed = await ask<Resumed>(load, {
    ask: 'resume',
    port: server.port,
    token,
    cursors,
    events,
    withinMs: 1_000,
  });
  const after = await ask<Usage>(server.child, { ask: 'usage' });
  stop(server.child, load);
  print({
    ...{ bench: 'live', kind: 'resume storm', sockets: count, events_each: events },
    all_recovered_ms: resumed.allMs,
    p50_ms: percentile(resumed.eachMs, 50),
    p99_ms: percentile(resumed.eachMs, 99),
    events: resumed.events,
    lost: count * events - resumed.events,
    server_cpu_ms: round((after.cpuUs - before.cpuUs) / 1_000),
    loop_max_ms: round(after.loopMaxMs),
    // The server of this benchmark is given no database.
    database_reads: 0,
  });
}

/** Events of one tenant at an even rate; how many there were. */
async function publish(
  server: ChildProcess,
  kind: Kind,
  perSecond: number,
  forSeconds: number,
): Promise<number> {
  const count = perSecond * forSeconds;
  const started = Date.now();
  const sending: Promise<unknown>[] = [];
  for (let i = 0; i < count; i += 1) {
    const due = started + (i * 1_000) / perSecond;
    if (due > Date.now()) await pause(due - Date.now());
    const event = anOrderEvent({ tenant_id });
    if (kind === 'plane') sending.push(produce(event));
    else server.send({ ask: 'publish', json: jsonOf(event) } satisfies Ask);
  }
  await Promise.all(sending);
  return count;
}

function produce(event: ReturnType<typeof anOrderEvent>): Promise<unknown> {
  const { event_id, event_type, tenant_id: tenant, user_id } = event;
  const headers = {
    id: event_id,
    event_type,
    tenant_id: tenant,
    user_id,
    'content-type': 'application/avro',
  };
  return producer.send({
    topic: topics.orders,
    messages: [{ key: event.order.id, value: encode(event), headers }],
  });
}

function jsonOf(event: ReturnType<typeof anOrderEvent>): string {
  const { event_id, event_type, occurred_at } = event;
  const cursor = 'A'.repeat(cursorLength);
  return JSON.stringify({
    type: 'event',
    channel: 'orders',
    cursor,
    id: event_id,
    event_type,
    occurred_at,
    data: event,
  });
}

async function startServerProcess(kind: Kind): Promise<{ child: ChildProcess; port: number }> {
  const child = start('live-server.ts', [kind]);
  const { port } = await answerOf<{ port: number }>(child);
  return { child, port };
}

function start(file: string, argv: string[] = []): ChildProcess {
  // As the service is started (infra/local/services.ts); the peers get the same, so that their figures compare.
  const execArgv = ['--expose-gc', '--max-semi-space-size=16'];
  const env = { ...process.env, JWKS_URL: tokens.settings.jwksUrl, BENCH_TOPICS: JSON.stringify(topics) };
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, argv, { env, execArgv });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

function stop(...stopped: ChildProcess[]): void {
  for (const child of stopped) {
    children.delete(child);
    child.disconnect();
  }
}

function ask<T = unknown>(child: ChildProcess, message: Ask | LoadAsk): Promise<T> {
  child.send(message);
  return answerOf<T>(child);
}

/** The next message of a process; they answer one question at a time. */
function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message: T) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

/** Node raises the soft limit of open files to the hard one by itself. */
function hasDescriptors(sockets: number): boolean {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn']).toString().trim();
  if (limit === 'unlimited' || Number(limit) >= sockets + 200) return true;
  print({ bench: 'live', sockets, skipped: `this machine allows ${limit} open files a process` });
  return false;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

function median(values: number[]): number {
  return percentile(values, 50);
}

function percentile(values: number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
}

function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

function print(line: Record<string, unknown>): void {
  console.log(JSON.stringify(line));
}
