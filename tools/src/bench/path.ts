/**
 * bench path: from an order's row to the socket of staff, and to a bare kafkajs consumer beside it.
 *
 *   outbox row written ─ Debezium ─ Kafka ─┬─ notifications ─ socket (decoded, entitled, framed)
 *                                          └─ bare kafkajs consumer (decoded)
 *
 * Needs a whole stack (npm start); places orders as customer@acme.example. The clock starts at the row's
 * created_at, a moment before its commit; all clocks are this machine's.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createCodec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { Command } from 'commander';
import WebSocket from 'ws';
import { z } from 'zod';
import { kafkaFrom, withAdmin } from '../parts/kafka.ts';
import { line, spread, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { type Moments, nowMs, orderAt, rowsSince, signIn } from './parts/orders-at-rate.ts';

type Options = { rate: string; seconds: string; warmup: string };

type Tailed = { at: Moments; appended: Moments };

const eventShape = z.object({ type: z.literal('event'), id: z.string() });

export function register(bench: Command): void {
  bench
    .command('path')
    .description(
      'From an order’s row to the socket, split by hop, beside a bare kafkajs consumer. Needs npm start.',
    )
    .option('--rate <count>', 'orders a second', '50')
    .option('--seconds <count>', 'length of the measurement', '60')
    .option('--warmup <count>', 'seconds before it', '20')
    .action(async ({ rate, seconds, warmup }: Options) => {
      await measure(await readSettings(), Number(rate), Number(seconds), Number(warmup));
    });
}

async function measure(settings: Settings, rate: number, seconds: number, warmup: number): Promise<void> {
  const staff = await signIn(settings, 'staff');
  const place = await orderAt(settings);

  const socket = await openSocket(settings.get('URL_NOTIFICATIONS_1'), staff);
  const tail = await startTail(settings);
  try {
    tell(`warming up: ${warmup} s`);
    await place(rate, rate * warmup);
    tell(`measuring: ${seconds} s`);
    const from = new Date();
    const placed = await place(rate, rate * seconds);
    const written = await rowsSince(settings, from, placed);
    await arrival(socket.at, tail.at, [...written.keys()]);
    report({ rate, seconds, written, socket: socket.at, tail });
  } finally {
    await tail.stop();
    socket.close();
  }
}

function report(it: {
  rate: number;
  seconds: number;
  written: Moments;
  socket: Moments;
  tail: Tailed;
}): void {
  const { rate, seconds, written, socket, tail } = it;
  const between = (from: Moments, to: Moments) =>
    [...written.keys()].flatMap((id) => {
      const [start, end] = [from.get(id), to.get(id)];
      return start === undefined || end === undefined ? [] : [end - start];
    });
  const of = (hop: string, from: Moments, to: Moments) => {
    const values = between(from, to);
    line({
      bench: 'path',
      hop,
      orders_per_s: rate,
      seconds,
      events: values.length,
      missing: written.size - values.length,
      unit: 'ms',
      ...spread(values),
    });
  };
  of('row → Kafka', written, tail.appended);
  of('Kafka → socket', tail.appended, socket);
  of('Kafka → bare kafkajs', tail.appended, tail.at);
  of('row → bare kafkajs', written, tail.at);
  of('row → socket', written, socket);
}

async function openSocket(origin: string, token: string): Promise<{ at: Moments; close(): void }> {
  const at: Moments = new Map();
  const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/ws/orders`, ['ragline.v1.json'], {
    headers: { authorization: `Bearer ${token}` },
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on('error', reject);
  socket.on('message', (data: Buffer) => {
    const now = nowMs();
    const message: unknown = JSON.parse(data.toString());
    const event = eventShape.safeParse(message);
    if (event.success) at.set(event.data.id, now);
    else if (typeOf(message) === 'welcome') resolve();
    else if (typeOf(message) === 'gap') tell(`the socket has a gap: ${data.toString()}`);
  });
  socket.on('close', (code, reason) => tell(`the socket was closed: ${code} ${reason.toString()}`));
  await promise;
  return {
    at,
    close() {
      socket.removeAllListeners('close');
      socket.close();
    },
  };
}

/** What anybody's consumer would see: plain kafkajs, decoding each record, from the end of the topic on. */
async function startTail(settings: Settings): Promise<Tailed & { stop(): Promise<void> }> {
  const kafka = kafkaFrom(settings, 'bench-path');
  const codec = createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
  const groupId = `bench-${randomUUID()}`;
  const topic = topics.orders.name;
  await withAdmin(kafka, async (admin) => {
    const ends = await admin.fetchTopicOffsets(topic);
    await admin.setOffsets({
      groupId,
      topic,
      partitions: ends.map(({ partition, offset }) => ({ partition, offset })),
    });
  });
  const tailed: Tailed = { at: new Map(), appended: new Map() };
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic });
  const joined = new Promise<void>(
    (resolve) => void consumer.on(consumer.events.GROUP_JOIN, () => resolve()),
  );
  await consumer.run({
    eachMessage: async ({ message }) => {
      const id = String(message.headers?.id);
      if (message.value) await codec.decode(message.value).catch(() => undefined);
      tailed.at.set(id, nowMs());
      tailed.appended.set(id, Number(message.timestamp));
    },
  });
  await joined;
  return {
    ...tailed,
    async stop() {
      await consumer.disconnect();
      await withAdmin(kafka, (admin) => admin.deleteGroups([groupId]).catch(() => []));
    },
  };
}

/** Waits until all have arrived at both, for 15 s at most: what is missing then is told as missing. */
async function arrival(socket: Moments, tail: Moments, ids: readonly string[]): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (performance.now() < deadline && !ids.every((id) => socket.has(id) && tail.has(id))) await pause(50);
}

function typeOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'type' in message ? message.type : undefined;
}
