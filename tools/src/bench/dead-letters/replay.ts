/**
 * Letters sent back by one batch without a throttle: from its POST until the last of them is resolved.
 *
 * Needs a whole stack (npm start): the letters are a group's of this process, the batch is the running service's.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { PermanentError } from '@ragline/streams/errors';
import { startProducer } from '@ragline/streams/producer';
import { replayTopicOf, retryTopicsOf } from '@ragline/streams/retry/names';
import type { Attempt, BatchAttempt } from '@ragline/streams/task';
import pg from 'pg';
import { z } from 'zod';
import { line, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import { cpuBetween, readCpu } from '../parts/cpu.ts';
import { connect, counter, dropTopics, fillTopic, log, makeTopics, newGroup, poolTo } from './kit.ts';

const inFlight = 5_000;
const batchShape = z.object({ id: z.string(), state: z.string(), counts: z.record(z.string(), z.number()) });
const statsShape = z.object({
  groups: z.array(z.object({ group: z.string(), states: z.record(z.string(), z.number()) })),
});

/** @param of all, or one of `variants` */
export async function measureReplay(settings: Settings, letters: number, of = 'all'): Promise<void> {
  const wanted = of === 'all' ? Object.values(variants) : [variants[of] ?? []].flat();
  if (wanted.length === 0) throw new Error(`Groups are all, ${Object.keys(variants).join(', ')}`);
  const ask = await signIn(settings);
  for (const variant of wanted) await replayOnce(settings, ask, letters, variant);
}

type Variant = {
  order: 'by-key' | 'none';
  /** Whether the group's handler takes many at a time, as those of the services do. */
  inBatches: boolean;
};

const variants: Record<string, Variant> = {
  many: { order: 'by-key', inBatches: true },
  single: { order: 'by-key', inBatches: false },
  unordered: { order: 'none', inBatches: false },
};

async function replayOnce(
  settings: Settings,
  ask: Ask,
  letters: number,
  { order, inBatches }: Variant,
): Promise<void> {
  const kafka = connect(settings);
  const { groupId, deadLetters } = newGroup();
  const topic = `${groupId}-orders`;
  const delaysMs = [1_000];
  const names = [topic, deadLetters, ...(order === 'none' ? retryTopicsOf(groupId, delaysMs) : [])];
  await makeTopics(kafka, names);
  const pool = poolTo(settings.get('DATABASE_URL_RAGLINE_NOTIFICATIONS'), 16);
  const producer = await startProducer({ kafka, log });
  let isMended = false;
  const handled = counter(letters);
  async function handle(_event: unknown, { once }: Attempt): Promise<string> {
    if (!isMended) throw new PermanentError('bench_broken', 'Broken on purpose');
    await once(async () => true);
    handled.add();
    return 'handled';
  }
  async function handleBatch(_events: unknown, { once }: BatchAttempt): Promise<string> {
    if (!isMended) throw new PermanentError('bench_broken', 'Broken on purpose');
    handled.add(await once(async (_, fresh) => fresh.size));
    return 'handled';
  }
  try {
    await fillTopic(settings, kafka, topic, letters, letters);
    const consumer = await startConsumer({
      kafka,
      groupId,
      topics: [{ name: topic, schema: 'order_v1' }],
      order,
      codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
      pool,
      producer,
      log,
      metrics: createMetrics({ service: 'bench' }),
      retry: { delaysMs },
      floodGuard: false,
      ...(inBatches ? { handleBatch } : { handle }),
    });
    try {
      const how = inBatches ? 'many at a time' : 'one by one';
      tell(`replay: ${letters} letters of a group, order ${order}, handled ${how}`);
      const stack = Number(settings.find('PID_GATEWAY_1'));
      const cpuAtFirst = readCpu(stack);
      const keptAt = performance.now();
      await until(
        () => waitingOf(ask, groupId),
        (waiting) => waiting >= letters,
        // Sums of all letters are not cheap, and not what is measured.
        500,
      );
      const keepMs = performance.now() - keptAt;
      isMended = true;
      const cpu = readCpu(stack);
      const began = performance.now();
      const { id } = await ask('POST', '/v1/dead-letters/batches', batchShape, {
        filter: { group: groupId, state: 'waiting' },
        action: 'replay',
        reason: 'bench',
        in_flight: inFlight,
        delay_s: 0,
      });
      await handled.done;
      const handledMs = performance.now() - began;
      const batch = await until(
        () => ask('GET', `/v1/dead-letters/batches/${id}`, batchShape),
        ({ state }) => state === 'done',
      );
      const settledMs = performance.now() - began;
      const cpuPerThousand = cpuBetween(cpu, readCpu(stack), letters);
      line({
        bench: 'dead-letters',
        part: 'replay',
        order,
        handled: how,
        letters,
        in_flight: inFlight,
        kept_per_s: Math.round((letters / keepMs) * 1_000),
        handled_per_s: Math.round((letters / handledMs) * 1_000),
        settled_per_s: Math.round((letters / settledMs) * 1_000),
        resolved: batch.counts.resolved,
        cpu_s_per_1000: cpuPerThousand,
        cpu_s_per_1000_kept: cpuBetween(cpuAtFirst, cpu, letters),
        wanted: 'settled ≥ 2,000/s',
      });
    } finally {
      await consumer.stop();
    }
  } finally {
    await producer.stop();
    await pool.end();
    await dropTopics(kafka, names, [groupId, `${groupId}.retry`, replayTopicOf(groupId)]);
    await forget(settings, groupId);
  }
}

type Ask = <T>(method: string, path: string, shape: z.ZodType<T>, body?: unknown) => Promise<T>;

async function signIn(settings: Settings): Promise<Ask> {
  const origin = settings.get('RAGLINE_URL');
  const password = settings.get('RAGLINE_DEMO_PASSWORD');
  let token = '';
  const ask: Ask = async (method, path, shape, body) => {
    // To the service's own port where it is known: the gateway is not what is measured.
    const base = path.startsWith('/v1/auth') ? origin : (settings.find('URL_DEAD_LETTERS_1') ?? origin);
    const response = await fetch(base + path, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return shape.parse(JSON.parse(text));
  };
  const grant = await ask('POST', '/v1/auth/login', z.object({ access_token: z.string() }), {
    tenant: 'ragline',
    email: 'operator@ragline.example',
    password,
  });
  token = grant.access_token;
  return ask;
}

async function waitingOf(ask: Ask, groupId: string): Promise<number> {
  const { groups } = await ask('GET', '/v1/dead-letters/stats', statsShape);
  return groups.find(({ group }) => group === groupId)?.states.waiting ?? 0;
}

/** Asks, ten times a second unless told otherwise, for two minutes at most. */
async function until<T>(look: () => Promise<T>, isDone: (it: T) => boolean, everyMs = 100): Promise<T> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const it = await look();
    if (isDone(it)) return it;
    if (performance.now() > deadline) throw new Error(`Still so after two minutes: ${JSON.stringify(it)}`);
    await pause(everyMs);
  }
}

/** Lets nothing of the measurement stay in the stack's database. */
async function forget(settings: Settings, groupId: string): Promise<void> {
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    await client.query(
      'DELETE FROM streams.parked_record WHERE parked_id IN (SELECT id FROM streams.parked_key WHERE group_id = $1)',
      [groupId],
    );
    for (const table of ['streams.parked_key', 'streams.lease', 'streams.inbox', 'dead_letters.letter']) {
      await client.query(`DELETE FROM ${table} WHERE group_id = $1`, [groupId]);
    }
  } finally {
    await client.end();
  }
}
