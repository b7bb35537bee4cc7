/**
 * bench webhooks: from an order's row to the first request at a tenant's own system, beside a bare kafkajs consumer with fetch.
 *
 *   outbox row written ─ Debezium ─ Kafka ─┬─ group webhooks ─ delivery stored ─ claimed ─ signed POST ─┐
 *                                          └─ bare kafkajs consumer ─ fetch ─────────────────────────────┴─ receiver
 *
 * Needs a whole stack that may call this machine (WEBHOOK_ALLOW_LOOPBACK=on npm start); places orders as
 * customer@acme.example and has a webhook of acme's for as long as it measures. The clock starts at the row's created_at, a
 * moment before its commit, and ends when the receiver has read the body; all clocks are this machine's.
 */
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { line, median, round, spread, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { type Moments, nowMs, orderAt, rowsSince, signIn } from './parts/orders-at-rate.ts';
import { startPoster } from './peers/poster.ts';

type Options = { rate: string; seconds: string; warmup: string; rounds: string };
type Spread = ReturnType<typeof spread>;

const goalP99Ms = 1_000;
const arriveWithinMs = 15_000;
const bodyShape = z.object({ data: z.object({ event_id: z.string() }) });

export function register(bench: Command): void {
  bench
    .command('webhooks')
    .description(
      'From an order’s row to the first request at a receiver, beside a bare kafkajs consumer with fetch. Needs WEBHOOK_ALLOW_LOOPBACK=on npm start.',
    )
    .option('--rate <count>', 'orders a second', '50')
    .option('--seconds <count>', 'length of a round', '20')
    .option('--warmup <count>', 'seconds before the first', '15')
    .option('--rounds <count>', 'rounds; figures are their medians', '5')
    .action(async ({ rate, seconds, warmup, rounds }: Options) => {
      await measure(await readSettings(), {
        rate: Number(rate),
        seconds: Number(seconds),
        warmup: Number(warmup),
        rounds: Number(rounds),
      });
    });
}

/** Leaves neither its webhook nor its receiver, whatever fails. */
export async function measure(
  settings: Settings,
  { rate, seconds, warmup, rounds }: { rate: number; seconds: number; warmup: number; rounds: number },
): Promise<void> {
  const place = await orderAt(settings);
  const receiver = await startReceiver();
  const stops = [receiver.stop];
  const stop = async () => {
    for (const it of stops.splice(0).reverse()) await it().catch((error: unknown) => tell(String(error)));
  };
  const interrupted = () => void stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    stops.push(await addWebhook(settings, receiver.url('ours')));
    const poster = await startPoster(settings, receiver.url('peer'));
    stops.push(poster.stop);
    const ours: Spread[] = [];
    const peers: Spread[] = [];
    tell(`warming up: ${warmup} s`);
    await place(rate, rate * warmup);
    for (let number = 1; number <= rounds; number += 1) {
      tell(`round ${number} of ${rounds}: ${seconds} s`);
      const from = new Date();
      const placed = await place(rate, rate * seconds);
      const written = await rowsSince(settings, from, placed);
      await arrival(receiver, [...written.keys()]);
      const told = (hop: string, start: Moments, end: Moments) => {
        const values = between(written, start, end);
        const missing = written.size - values.length;
        const record = { bench: 'webhooks', hop, round: number, orders_per_s: rate, events: values.length };
        line({ ...record, missing, unit: 'ms', ...spread(values) });
        return spread(values);
      };
      told('row → Kafka', written, poster.appended);
      told('Kafka → first attempt', poster.appended, receiver.ours);
      ours.push(told('row → first attempt', written, receiver.ours));
      peers.push(told('row → bare kafkajs with fetch', written, receiver.peer));
    }
    report(ours, peers, { rate, seconds });
  } finally {
    process.off('SIGINT', interrupted);
    await stop();
  }
}

function report(
  ours: readonly Spread[],
  peers: readonly Spread[],
  conditions: { rate: number; seconds: number },
): void {
  const of = (spreads: readonly Spread[], name: keyof Spread) => round(median(spreads.map((it) => it[name])));
  const medians = (spreads: readonly Spread[]) => ({
    p50: of(spreads, 'p50'),
    p95: of(spreads, 'p95'),
    p99: of(spreads, 'p99'),
  });
  line({
    bench: 'webhooks',
    hop: 'medians of rounds',
    orders_per_s: conditions.rate,
    ...{ rounds: ours.length, seconds: conditions.seconds, unit: 'ms' },
    first_attempt: medians(ours),
    peer: medians(peers),
    p50_of_peer: round(of(ours, 'p50') / of(peers, 'p50'), 2),
    p99_of_peer: round(of(ours, 'p99') / of(peers, 'p99'), 2),
    goal_p99: goalP99Ms,
  });
}

function between(written: Moments, from: Moments, to: Moments): number[] {
  return [...written.keys()].flatMap((id) => {
    const [start, end] = [from.get(id), to.get(id)];
    return start === undefined || end === undefined ? [] : [end - start];
  });
}

/** Answers 204 to everybody, and remembers when each event came first. */
async function startReceiver() {
  const arrived: Record<'ours' | 'peer', Moments> = { ours: new Map(), peer: new Map() };
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const now = nowMs();
      res.writeHead(204).end();
      const { event_id } = bodyShape.parse(JSON.parse(Buffer.concat(chunks).toString())).data;
      const moments = req.url === '/peer' ? arrived.peer : arrived.ours;
      if (!moments.has(event_id)) moments.set(event_id, now);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    ...arrived,
    url: (who: 'ours' | 'peer') => `http://127.0.0.1:${port}/${who}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A webhook of acme's; gives what removes it. */
async function addWebhook(settings: Settings, url: string): Promise<() => Promise<void>> {
  const path = `${settings.get('RAGLINE_URL')}/v1/webhooks`;
  const token = await signIn(settings, 'admin');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ url, event_types: ['order_created'], description: 'bench' });
  const answer = await fetch(path, { method: 'POST', headers, body });
  const text = await answer.text();
  if (answer.status === 422)
    throw new Error(
      'The stack may not call this machine. Start it with: WEBHOOK_ALLOW_LOOPBACK=on npm start',
    );
  if (answer.status !== 201) throw new Error(`POST ${path} answered ${answer.status}: ${text}`);
  const { id } = z.object({ id: z.string() }).parse(JSON.parse(text));
  return async () => {
    const removed = await fetch(`${path}/${id}`, { method: 'DELETE', headers });
    if (removed.status !== 204) tell(`the webhook ${id} was not removed: ${removed.status}`);
  };
}

/** Waits until all have arrived by both ways; what is missing after so long is told as missing. */
async function arrival(
  { ours, peer }: { ours: Moments; peer: Moments },
  ids: readonly string[],
): Promise<void> {
  const deadline = performance.now() + arriveWithinMs;
  while (performance.now() < deadline && !ids.every((id) => ours.has(id) && peer.has(id))) await pause(50);
}
