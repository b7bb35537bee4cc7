/** Marks of a person, planted wherever a person, staff or an operator may leave a text; and a search through everything. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTailClient } from '@ragline/streams/tail-client';
import { findRecords } from '@ragline/tools/erase/records';
import type pg from 'pg';
import { createClient } from 'redis';
import { stack } from '../support/stack.ts';

/** Twenty texts that stand nowhere else. */
export type Marks = { all: string[]; of(what: MarkName): string };

export const markNames = [
  'address',
  'name',
  'order notes',
  'item notes',
  'cancel reason',
  'order key',
  'conversation key',
  'question key',
  'question over REST',
  'question over a stream',
  'question over a socket',
  'wish to order',
  'summary',
  'poison bytes',
  'poison header',
  'parked follower',
  'letter note',
  'letter edit',
  'discard reason',
  'letter of another group',
] as const;
export type MarkName = (typeof markNames)[number];

export function newMarks(): Marks {
  const run = randomBytes(5).toString('hex');
  const all = markNames.map((_, at) => `mark${String(at + 1).padStart(2, '0')}x${run}`);
  return { all, of: (what) => all[markNames.indexOf(what)] ?? assert.fail(what) };
}

/** Which marks stand where: in rows, cache entries, records or log lines. */
export type Places = Map<string, Set<string>>;

export async function searchEverything(marks: readonly string[], owner: pg.Pool): Promise<Places> {
  const places: Places = new Map();
  const look = (text: string, where: string) => {
    for (const mark of marks) {
      if (!text.includes(mark)) continue;
      places.set(mark, (places.get(mark) ?? new Set()).add(where));
    }
  };
  await searchTables(marks, owner, look);
  await searchCache(look);
  await searchTopics(look);
  searchLogs(look);
  return places;
}

type Look = (text: string, where: string) => void;

/** Every row of every table, written out as text; bytes stand there as hexadecimal digits. */
async function searchTables(marks: readonly string[], owner: pg.Pool, look: Look): Promise<void> {
  const { rows: tables } = await owner.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'`,
  );
  assert.ok(tables.length > 50);
  const hex = new Map(marks.map((mark) => [Buffer.from(mark).toString('hex'), mark]));
  const pattern = [...marks, ...hex.keys()].join('|');
  for (const { name } of tables) {
    const { rows } = await owner.query<{ row: string }>(
      `SELECT t::text AS row FROM ${name} t WHERE t::text ~ $1`,
      [pattern],
    );
    for (const { row } of rows) {
      look(row, name);
      for (const [digits, mark] of hex) if (row.includes(digits)) look(mark, `${name} (bytes)`);
    }
  }
}

async function searchCache(look: Look): Promise<void> {
  const client = createClient({ url: stack().redisUrl ?? '' });
  await client.connect();
  try {
    for await (const keys of client.scanIterator({ COUNT: 1_000 })) {
      for (const key of keys) {
        look(key, 'a key of Valkey');
        const type = await client.type(key);
        if (type === 'string') look((await client.get(key)) ?? '', `Valkey ${key}`);
        else if (type === 'hash') look(JSON.stringify(await client.hGetAll(key)), `Valkey ${key}`);
        else if (type !== 'none') assert.fail(`the search does not know Valkey's ${type} (${key})`);
      }
    }
  } finally {
    client.destroy();
  }
}

async function searchTopics(look: Look): Promise<void> {
  const client = createTailClient({ kafka: stack().kafka, clientId: 'test-search' });
  try {
    const topics = await topicNames();
    assert.ok(topics.includes('orders.v1') && topics.includes('chat.events.v1'));
    for (const topic of topics) {
      await findRecords({
        client,
        topics: [topic],
        isThere: async (name) => (await topicNames()).includes(name),
        isKnown: async () => new Set(),
        judge(_, { key, value, headers }) {
          const bytes = [key, value, ...headers.flat()].map((it) => it?.toString('latin1') ?? '');
          look(bytes.join('\n'), `topic ${topic}`);
          return { is: 'nothing' };
        },
      });
    }
  } finally {
    await client.close();
  }
}

async function topicNames(): Promise<string[]> {
  const { createKafka } = await import('@ragline/streams/kafka-client');
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const admin = createKafka({ ...stack().kafka, clientId: 'test-search', log: quiet }).admin();
  await admin.connect();
  try {
    // Kafka's own hold offsets, in a form of the broker's.
    return (await admin.listTopics()).filter((name) => !name.startsWith('__'));
  } finally {
    await admin.disconnect();
  }
}

function searchLogs(look: Look): void {
  const folder = process.env.RAGLINE_LOGS;
  assert.ok(folder, 'RAGLINE_LOGS is not set');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  assert.ok(files.length > 5);
  for (const { name, parentPath } of files)
    look(readFileSync(join(parentPath, name), 'latin1'), `log ${name}`);
}

/** A record as somebody outside could write it: no event, but with the person's id and an order's key. */
export function garbageOf(
  person: { tenantId: string; userId: string },
  text: string,
  headers: Record<string, string> = {},
) {
  return {
    value: Buffer.from(`garbage ${text} ${randomUUID()}`),
    headers: {
      id: randomUUIDv7(),
      event_type: 'order_created',
      tenant_id: person.tenantId,
      user_id: person.userId,
      ...headers,
    },
  };
}
