/**
 * From a record of a dead letter topic to the letter that is kept. Whatever its bytes are, there is one: a header that
 * says nothing that can be is as if it were not there, and what Postgres could not hold is cut or replaced.
 */

import { storable, storedHeaders } from '@ragline/streams/parking/headers';
import type { ConsumedRecord } from '@ragline/streams/record';
import { nilId } from './events.ts';
import { fingerprintOf } from './fingerprint.ts';
import { decimalOf, foreignOrigin, type Origin, type Read, textOf } from './foreign.ts';
import type { FingerprintParts, LetterError, LetterSource, StoredHeaders } from './letter.ts';
import { keyText } from './letter-key.ts';
import { textsIn, wordsOf } from './letter-words.ts';

/** What the registry's schema made of the value, or why nothing. */
export type Reading = { decoded: unknown; decode_error: null } | { decoded: null; decode_error: string };

export type NewLetter = LetterError & {
  group_id: string;
  topic: string;
  partition: number;
  offset: string;
  parked_record: number | null;
  deaths: number;
  inbox_id: string | null;
  key: Buffer | null;
  tenant_id: string | null;
  event_id: string | null;
  event_type: string | null;
  schema_id: number | null;
  value: Buffer | null;
  /** JSON text. */
  decoded: string | null;
  decode_error: string | null;
  headers: StoredHeaders;
  source: LetterSource;
  dlq_topic: string;
  dlq_partition: number;
  dlq_offset: string;
  original_timestamp: Date | null;
  fingerprint: string;
  fingerprint_parts: FingerprintParts;
  attempts: number;
  first_failed_at: Date;
  failed_at: Date;
  words: string[];
};

const nameMax = 255;
const idMax = 512;
const codeMax = 128;
const messageMax = 4_096;
const stackMax = 16_384;
const decodedMax = 8 * 1024 * 1024;
const depthMax = 200;
const attemptsMax = 1_000_000;
const partitionMax = 2_147_483_647;

export function letterFrom(record: ConsumedRecord, reading: Reading, now: Date): NewLetter {
  const read = readerOf(record);
  const origin = ownOrigin(read, record) ?? foreignOrigin(read) ?? nobodys;
  const stamped = timeFrom(record.timestamp) ?? now;
  const failed_at = timeOf(read('failed-at')) ?? stamped;
  const decoded = reading.decoded === null ? null : jsonOf(reading.decoded);
  const event = decoded === null ? undefined : eventOf(reading.decoded);
  const error: LetterError = {
    error_code: clean(origin.error_code, codeMax),
    error_class: clean(origin.error_class, nameMax),
    error_message: clean(origin.error_message, messageMax),
    error_stack: clean(origin.error_stack, stackMax),
  };
  const event_id = clean(event?.event_id ?? textOf(read('id')), nameMax);
  const event_type = clean(event?.event_type ?? textOf(read('event_type')), codeMax);
  const address = addressOf(origin, record);
  const group_id = clean(origin.group, nameMax) ?? 'unknown';
  const { fingerprint, parts } = fingerprintOf({ group_id, event_type, ...error });
  return {
    ...address,
    group_id,
    ...parkedOf(origin, read),
    inbox_id: inboxIdOf(origin, read, event, address),
    key: record.key,
    tenant_id: tenantOf(event?.tenant_id, textOf(read('tenant_id'))),
    event_id,
    event_type,
    schema_id: schemaIdOf(record.value),
    value: record.value,
    decoded,
    decode_error: reading.decode_error ?? (reading.decoded !== null && decoded === null ? 'too_large' : null),
    headers: storedHeaders(record.headers),
    source: origin.source,
    dlq_topic: record.topic,
    dlq_partition: record.partition,
    dlq_offset: record.offset,
    original_timestamp: timeOf(read('original-timestamp')) ?? timeFrom(origin.timestamp),
    ...error,
    fingerprint,
    fingerprint_parts: parts,
    attempts: Math.min(Math.max(origin.attempt ?? 1, 1), attemptsMax),
    first_failed_at: timeOf(read('first-failed-at')) ?? failed_at,
    failed_at,
    words: wordsOf(
      textsOf({ ...error, ...address, group_id, event_id, event_type, key: record.key }, reading.decoded),
    ),
  };
}

/** The error code of a letter that Postgres refused. */
export const unstorable = 'letter_not_storable';

/** A letter of which less is left that could be refused: the bytes, where they came from, its headers, and that it is so. */
export function bareLetter(letter: NewLetter, reason: string): NewLetter {
  const { group_id, event_type } = letter;
  const error: LetterError = {
    error_code: unstorable,
    error_class: null,
    error_message: clean(reason, messageMax),
    error_stack: null,
  };
  const { fingerprint, parts } = fingerprintOf({ group_id, event_type, ...error });
  // First without what was made of the record; only when that is refused too, without its headers.
  const headers = letter.error_code === unstorable ? {} : letter.headers;
  const text = { decoded: null, decode_error: 'not_storable', headers, words: [] };
  return { ...letter, ...text, ...error, fingerprint, fingerprint_parts: parts };
}

/** A header's last value; names are only what the record has, never what every object inherits. */
function readerOf({ headers }: ConsumedRecord): Read {
  return (name) => {
    const all = Object.hasOwn(headers, name) ? headers[name] : undefined;
    const value = Array.isArray(all) ? all.at(-1) : all;
    if (value === undefined || value === null) return undefined;
    return typeof value === 'string' ? Buffer.from(value) : value;
  };
}

/** The headers of RAGline's own runner; undefined when they are not there, or not on the group's topic. */
function ownOrigin(read: Read, { topic }: ConsumedRecord): Origin | undefined {
  const at = (name: string) => textOf(read(name));
  const group = at('original-group');
  // Only a group's own topic speaks for the group: a record copied elsewhere has its headers too.
  if (group === undefined || topic !== `${group}.dlq`) return undefined;
  const partition = decimalOf(at('original-partition'));
  const timestamp = undefined;
  const attempt = decimalOf(at('attempt'));
  return {
    source: 'ragline',
    topic: at('original-topic'),
    partition: partition === undefined ? undefined : Number(partition),
    offset: decimalOf(at('original-offset')),
    group,
    timestamp,
    attempt: attempt === undefined ? undefined : Number(attempt),
    error_code: at('error-code'),
    error_class: at('error-class'),
    error_message: at('error-message'),
    error_stack: at('error-stack'),
  };
}

/** From a producer that nobody knows, a letter keeps the address it was found at: an odd row is better than lost evidence. */
const nobodys: Origin = {
  source: 'unknown',
  topic: undefined,
  partition: undefined,
  offset: undefined,
  group: undefined,
  timestamp: undefined,
  attempt: undefined,
  error_code: undefined,
  error_class: undefined,
  error_message: undefined,
  error_stack: undefined,
};

type Address = { topic: string; partition: number; offset: string };

/** The original's, when all of it can be; else where the letter lies. A mixture would be the address of another record. */
function addressOf({ topic, partition, offset }: Origin, record: ConsumedRecord): Address {
  const isWhole =
    topic !== undefined &&
    /^[\w.-]{1,249}$/.test(topic) &&
    partition !== undefined &&
    partition <= partitionMax;
  if (isWhole && offset !== undefined) return { topic, partition, offset: String(offset) };
  return { topic: record.topic, partition: record.partition, offset: record.offset };
}

function parkedOf({ source }: Origin, read: Read): { parked_record: number | null; deaths: number } {
  const id = decimalOf(textOf(read('parked-record')));
  if (source !== 'ragline' || id === undefined || id > BigInt(Number.MAX_SAFE_INTEGER)) {
    return { parked_record: null, deaths: 1 };
  }
  const deaths = decimalOf(textOf(read('deaths'))) ?? 1n;
  return { parked_record: Number(id), deaths: deaths < 1n || deaths > 2_147_483_647n ? 1 : Number(deaths) };
}

/** The id under which the group remembers the record; others remember nothing that we could ask for. */
function inboxIdOf(
  { source }: Origin,
  read: Read,
  event: EventFields | undefined,
  address: Address,
): string | null {
  if (source !== 'ragline') return null;
  const { topic, partition, offset } = address;
  const own = clean(textOf(read('inbox-id')), idMax);
  return own ?? clean(event?.event_id, idMax) ?? `at:${topic}/${partition}/${offset}`;
}

const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Believed only where header and value agree: else the letter would be shown to whom it names, or to whom it is not. */
function tenantOf(inValue: unknown, inHeader: string | undefined): string | null {
  if (typeof inValue !== 'string' || inValue !== inHeader || !uuidShape.test(inValue)) return null;
  // Stands for all tenants in the sums.
  if (inValue === nilId) return null;
  return inValue;
}

type EventFields = { event_id: string | undefined; event_type: string | undefined; tenant_id: unknown };

function eventOf(value: unknown): EventFields | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const text = (name: string) => {
    const field: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
    return typeof field === 'string' ? field : undefined;
  };
  return { event_id: text('event_id'), event_type: text('event_type'), tenant_id: text('tenant_id') };
}

function schemaIdOf(value: Buffer | null): number | null {
  return value !== null && value.length >= 5 && value[0] === 0 ? value.readUInt32BE(1) : null;
}

/** Text that Postgres takes, of at most so many UTF-16 units; null for none. */
function clean(text: string | undefined, max: number): string | null {
  if (text === undefined || text === '') return null;
  return storable(text.slice(0, max));
}

/** JSON text that Postgres reads without running out of stack; null when there is none, or too much of it. */
function jsonOf(value: unknown): string | null {
  try {
    if (depthOf(value, 0) > depthMax) return null;
    const json = JSON.stringify(value);
    return json === undefined || json.length > decodedMax ? null : json;
  } catch {
    // A value of which JSON has no idea, such as a bigint.
    return null;
  }
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null || depth > depthMax) return depth;
  let deepest = depth;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, depth + 1));
  return deepest;
}

const firstYear = 1970;
const lastYear = 2200;

/** RFC 3339 in UTC or with an offset, of a year in which there is Kafka. */
function timeOf(value: Buffer | undefined): Date | undefined {
  if (value === undefined || value.length > 40) return undefined;
  const text = value.toString('latin1');
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  return timeFrom(Date.parse(text)) ?? undefined;
}

function timeFrom(ms: number | undefined): Date | null {
  if (ms === undefined || !Number.isFinite(ms)) return null;
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  return year >= firstYear && year <= lastYear ? date : null;
}

type Searched = LetterError &
  Address & { group_id: string; event_id: string | null; event_type: string | null; key: Buffer | null };

function* textsOf(letter: Searched, decoded: unknown): Generator<string> {
  const { event_id, key, error_code, error_class, error_message, group_id, topic, event_type } = letter;
  const texts = [event_id, keyText(key), error_code, error_class, error_message, group_id, topic, event_type];
  for (const text of texts) if (text !== null) yield text;
  yield* textsIn(decoded);
}
