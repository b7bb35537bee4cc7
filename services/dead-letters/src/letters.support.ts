/** For tests: a database of letters, letters for it, and records as groups leave them. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createCodec } from '@ragline/schemas/codec';
import type { ConsumedRecord } from '@ragline/streams/record';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { letterFrom, type NewLetter, type Reading } from './domain.ts';
import type { Encode } from './events.ts';
import { type Filter, filterFrom } from './letter-filter.ts';
import { type Kept, keepLetters } from './letter-keep.ts';
import { letterStore } from './store.ts';

export type LetterScene = Awaited<ReturnType<typeof openLetters>>;

/** A database of the test's own, with all migrations: nothing else writes letters there. */
export async function openLetters() {
  const database = await scratchDatabase();
  const pool: Pool = poolOf('ragline_dead_letters', 6, database.name);
  const owner = new pg.Pool({ connectionString: database.url, max: 2 });
  // The database goes away while its last connections are closing.
  owner.on('error', () => {});
  const codec = createCodec({ registryUrl: stack().registryUrl });
  // The registry of a stack that began before the topic did has no such schema; the bytes are nobody's business here.
  const encode: Encode = (event) => Buffer.from(JSON.stringify(event));
  const encoder = async () => encode;
  return {
    name: database.name,
    url: database.url,
    pool,
    owner,
    codec,
    encoder,
    store: letterStore(pool),
    keep: (letters: readonly NewLetter[]): Promise<Kept[]> => keepLetters({ pool, encoder }, letters),
    /** Types of the events that were published of a letter, in their order. */
    async events(letterId: string): Promise<string[]> {
      const { rows } = await owner.query<{ type: string }>(
        'SELECT type FROM dead_letters.outbox WHERE aggregateid = $1 ORDER BY created_at, id',
        [letterId],
      );
      return rows.map(({ type }) => type);
    },
    async close(): Promise<void> {
      await pool.end();
      await owner.end();
      await database.drop();
    },
  };
}

/** What selects everything. */
export const everything: Filter = filterFrom({});

export const aGroup = (): string => `test-${randomBytes(4).toString('hex')}`;

export type Headers = Record<string, string | Buffer>;

/** A record as a group without order leaves it on its dead letter topic; a test names only the headers it is about. */
export function aRecord(headers: Headers = {}, changes: Partial<ConsumedRecord> = {}): ConsumedRecord {
  const group = typeof headers['original-group'] === 'string' ? headers['original-group'] : 'test-group';
  const said: Headers = {
    id: randomUUIDv7(),
    event_type: 'order_created',
    'original-topic': 'orders.v1',
    'original-partition': '2',
    'original-offset': String(nextOffset++),
    'original-group': group,
    'first-failed-at': '2026-11-22T10:00:00.000Z',
    attempt: '5',
    'error-code': 'handler_failed',
    'error-class': 'TypeError',
    'error-message': 'Cannot read the price of order 17',
    'error-stack': 'TypeError: no\n    at priceOf (/app/services/x/src/price.ts:10:5)',
    'failed-at': '2026-11-22T11:30:00.000Z',
    ...headers,
  };
  const found = { topic: `${group}.dlq`, partition: 0, offset: String(nextOffset++), timestamp: Date.now() };
  return {
    ...found,
    key: Buffer.from('key'),
    value: Buffer.from('value'),
    headers: buffersOf(said),
    ...changes,
  };
}

let nextOffset = 1;

/** As kafkajs gives them. */
function buffersOf(headers: Headers): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));
}

export const unread: Reading = { decoded: null, decode_error: 'not_confluent' };

/** A letter as the consumer makes it of such a record. */
export function aLetter(
  headers: Headers = {},
  { reading = unread, ...changes }: Partial<ConsumedRecord> & { reading?: Reading } = {},
): NewLetter {
  return letterFrom(aRecord(headers, changes), reading, new Date());
}

/** One whose value names the tenant, so that it is believed. */
export function aLetterOf(tenant_id: string, headers: Headers = {}): NewLetter {
  const decoded = { event_id: randomUUIDv7(), event_type: 'order_created', tenant_id };
  return aLetter(
    { id: decoded.event_id, tenant_id, ...headers },
    { reading: { decoded, decode_error: null } },
  );
}
