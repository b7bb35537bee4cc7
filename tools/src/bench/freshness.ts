/**
 * bench freshness: from a change of the catalogue until the assistant can find it.
 *
 *   PATCH, POST product ─ outbox ─ Debezium ─ Kafka ─ group chat-index ─ (embedding) ─ one transaction
 *
 * Prices are changed and products are made at the same time. Needs a whole stack (npm start); works as
 * staff@acme.example at the orders service's own port, and takes out again what it made. The clock starts when the orders
 * service makes the change and ends right before the index commits it; both clocks are this machine's.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import pg from 'pg';
import { Agent, request } from 'undici';
import { createClient } from '../dead-letters/client.ts';
import { line, spread, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';

type Options = { prices: string; chunks: string; seconds: string };
type Indexed = { id: string; version: number; ms: number; has_vector: boolean };
type Send = (method: string, path: string, body?: object) => Promise<{ id?: string }>;

const lookEveryMs = 200;
const patienceMs = 5_000;
// As many as there are changes in three seconds: a look misses none of them.
const spreadSeconds = 3;

export function register(bench: Command): void {
  bench
    .command('freshness')
    .description('From a change of the catalogue until the assistant can find it. Needs npm start.')
    .option('--prices <count>', 'changes of prices a second', '100')
    .option('--chunks <count>', 'new products a second, each a new chunk', '10')
    .option('--seconds <count>', 'length of the measurement', '30')
    .action(async ({ prices, chunks, seconds }: Options) => {
      await measure(await readSettings(), Number(prices), Number(chunks), Number(seconds));
    });
}

async function measure(settings: Settings, prices: number, chunks: number, seconds: number): Promise<void> {
  const client = createClient(settings, { token: null, login: 'acme/staff@acme.example' });
  const { access_token, user } = await client.post('/v1/auth/login', {
    tenant: 'acme',
    email: 'staff@acme.example',
    password: settings.get('RAGLINE_DEMO_PASSWORD'),
  });
  const dispatcher = new Agent({ connections: 32 });
  const send = sender(settings.get('URL_ORDERS_1'), String(access_token), dispatcher);
  const tenantId = String(Reflect.get(Object(user), 'tenant_id'));
  const index = await watchIndex(settings.get('DATABASE_URL'), tenantId);
  const made: string[] = [];
  try {
    const product = (number: number) => ({
      name: `Bench ${number} ${randomUUID().slice(0, 8)}`,
      description: `Made to be measured, number ${number}: tomatoes, basil and ${randomUUID()}`,
      price: 900,
      currency: 'EUR',
    });
    tell(`making ${prices * spreadSeconds} products`);
    await paced(prices, prices * spreadSeconds, async (number) => {
      made.push((await send('POST', '/v1/products', product(number))).id ?? '');
    });
    const changed = [...made];
    await index.until(changed.length);
    index.forget();
    tell(`measuring: ${seconds} s`);
    await Promise.all([
      paced(prices, prices * seconds, async (number) => {
        await send('PATCH', `/v1/products/${changed[number % changed.length]}`, { price: 1_000 + number });
      }),
      paced(chunks, chunks * seconds, async (number) => {
        made.push((await send('POST', '/v1/products', product(number))).id ?? '');
      }),
    ]);
    await index.until((prices + chunks) * seconds);
    const seen = index.seen();
    report(
      'price',
      prices,
      prices * seconds,
      seen.filter(({ version }) => version > 1),
    );
    report(
      'new chunk',
      chunks,
      chunks * seconds,
      seen.filter(({ version }) => version === 1),
    );
  } finally {
    tell(`taking out ${made.length} products`);
    for (const id of made) await send('DELETE', `/v1/products/${id}`);
    await index.stop();
    await dispatcher.close();
  }
}

function report(change: string, rate: number, changes: number, seen: readonly Indexed[]): void {
  line({
    bench: 'freshness',
    change,
    per_s: rate,
    changes,
    // A version that was overtaken by the next one in the same batch is seen as that one.
    seen: seen.length,
    without_vector: seen.filter(({ has_vector }) => !has_vector).length,
    unit: 'ms',
    ...spread(seen.map(({ ms }) => ms)),
  });
}

/** What the index takes in for the tenant from now on, version by version. */
async function watchIndex(databaseUrl: string, tenantId: string) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const found = new Map<string, Indexed>();
  const before = new Set<string>();
  let since = new Date();
  async function look(): Promise<void> {
    const { rows } = await client.query<Indexed & { indexed_at: Date }>(
      `SELECT s.id, s.version::int, s.indexed_at, extract(epoch FROM s.indexed_at - s.changed_at)::float8 * 1000 AS ms,
              EXISTS (SELECT FROM chat.chunk c JOIN chat.embedding_minilm_l6_v2 e ON e.chunk_id = c.id AND e.content_hash = c.content_hash
                       WHERE c.tenant_id = s.tenant_id AND c.source_id = s.id) AS has_vector
         FROM chat.source s
        WHERE s.tenant_id = $1 AND s.indexed_at > $2::timestamptz - interval '2 seconds' AND s.deleted_at IS NULL`,
      [tenantId, since],
    );
    for (const row of rows) {
      const key = `${row.id}/${row.version}`;
      if (!before.has(key)) found.set(key, row);
      if (row.indexed_at > since) since = row.indexed_at;
    }
  }
  const stopped = new AbortController();
  const looking = (async () => {
    while (!stopped.signal.aborted) {
      await look();
      await pause(lookEveryMs);
    }
  })();
  return {
    seen: () => [...found.values()],
    forget(): void {
      for (const key of found.keys()) before.add(key);
      found.clear();
    },
    /** Waits for so many versions, or until none has come for a while: some are overtaken. */
    async until(count: number): Promise<void> {
      let size = -1;
      let quietSince = Date.now();
      while (found.size < count && Date.now() - quietSince < patienceMs) {
        if (found.size !== size) quietSince = Date.now();
        size = found.size;
        await pause(lookEveryMs);
      }
    },
    async stop(): Promise<void> {
      stopped.abort();
      await looking;
      await client.end();
    },
  };
}

function sender(origin: string, token: string, dispatcher: Agent): Send {
  return async (method, path, body) => {
    const answer = await request(`${origin}${path}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  };
}

/** Begins `count` calls, so many a second, and waits for all. */
async function paced(rate: number, count: number, call: (number: number) => Promise<void>): Promise<void> {
  const began = performance.now();
  const calls: Promise<void>[] = [];
  for (let number = 0; number < count; number += 1) {
    const wait = began + (number * 1_000) / rate - performance.now();
    if (wait > 0) await pause(wait);
    calls.push(call(number));
  }
  await Promise.all(calls);
}
