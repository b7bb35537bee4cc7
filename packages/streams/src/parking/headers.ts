/** Headers as Postgres keeps them: {name: {"t": text} | {"b": base64}}, and with several values the last, beside "all". */
import type { RawHeaders } from '../record.ts';

type One = { t: string } | { b: string };
export type StoredHeaders = Record<string, One & { all?: One[] }>;

/** What is no text that Postgres could keep is base64; only a header named __proto__ is lost. */
export function storedHeaders(headers: RawHeaders): StoredHeaders {
  const stored: StoredHeaders = {};
  for (const [name, given] of Object.entries(headers)) {
    if (given === undefined || given === null) continue;
    const all = (Array.isArray(given) ? given : [given]).map(one);
    const last = all.at(-1);
    if (last !== undefined) stored[storable(name)] = all.length > 1 ? { ...last, all } : last;
  }
  return stored;
}

/** Reads what is in a row; throws TypeError when it is nothing of the kind. */
export function rawHeaders(stored: unknown): RawHeaders {
  if (typeof stored !== 'object' || stored === null) throw new TypeError('Headers are an object');
  const headers: RawHeaders = {};
  for (const [name, value] of Object.entries(stored)) {
    headers[name] = hasAll(value) ? value.all.map(bytesOf) : bytesOf(value);
  }
  return headers;
}

/** Text as jsonb and text columns take it: no NUL, no half of a surrogate pair. */
export function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

function one(value: Buffer | string): One {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const text = bytes.toString();
  return !text.includes('\0') && Buffer.from(text).equals(bytes)
    ? { t: text }
    : { b: bytes.toString('base64') };
}

function bytesOf(value: unknown): Buffer {
  if (typeof value === 'object' && value !== null) {
    if ('t' in value && typeof value.t === 'string') return Buffer.from(value.t);
    if ('b' in value && typeof value.b === 'string') return Buffer.from(value.b, 'base64');
  }
  throw new TypeError('A header is {"t": text} or {"b": base64}');
}

function hasAll(value: unknown): value is { all: unknown[] } {
  return typeof value === 'object' && value !== null && 'all' in value && Array.isArray(value.all);
}
