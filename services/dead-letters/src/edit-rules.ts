/** What an edit may change: everything but whose the record is, what it is about and how it came here. */
import { isDeepStrictEqual } from 'node:util';
import type { FieldError } from '@ragline/web/problems';
import { foreignPrefixes } from './foreign.ts';
import type { HeaderValue, StoredHeaders } from './letter.ts';
import { type Mask, masked, type ShownValue, shownHeaders } from './letter-view.ts';

/** Set headers, `null` takes one away; what is not named stays. In the form in which letters are shown. */
export type HeaderChanges = Record<string, ShownValue | ShownValue[] | null>;

const lockedHeaders = new Set([
  'id',
  'event_type',
  'tenant_id',
  'user_id',
  'edited-from',
  'inbox-id',
  'first-failed-at',
  'failed-at',
  'attempt',
  'not-before',
  'parked-record',
  'deaths',
]);
const lockedPrefixes = ['original-', 'error-', ...foreignPrefixes];
// What a test asks of a handler, its process included: may be taken away, never set.
const failpointPrefix = 'x-ragline-';

/** Headers that a group or a framework adds when it gives up, and those that say whose the record is. */
function isLockedHeader(name: string): boolean {
  return lockedHeaders.has(name) || lockedPrefixes.some((prefix) => name.startsWith(prefix));
}

const addedByDeath = new Set([
  'first-failed-at',
  'failed-at',
  'attempt',
  'not-before',
  'parked-record',
  'deaths',
  'inbox-id',
]);

/** The record's own headers: without those that were added when it was put aside. */
export function ownHeaders(headers: StoredHeaders): StoredHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !addedByDeath.has(name) && !name.startsWith('original-') && !name.startsWith('error-'),
    ),
  );
}

const faultsMax = 50;
const headersMax = 100;
const headerBytesMax = 65_536;

/** The headers after the changes, or what is wrong with these. Sent back as it was shown, a header is no change. */
export function changedHeaders(
  before: StoredHeaders,
  changes: HeaderChanges,
  mask: Mask,
): { headers: StoredHeaders } | { errors: FieldError[] } {
  const headers = new Map(Object.entries(before));
  const shown = new Map(Object.entries(shownHeaders(before, mask)));
  const errors: FieldError[] = [];
  for (const [name, change] of Object.entries(changes)) {
    const path = `headers.${name.slice(0, 100)}`;
    const isSame = change === null ? !headers.has(name) : isDeepStrictEqual(shown.get(name), change);
    if (isSame) continue;
    const isFailpoint = name.startsWith(failpointPrefix);
    if (isLockedHeader(name) || (isFailpoint && change !== null)) errors.push({ path, message: 'is locked' });
    else if (change === null) headers.delete(name);
    else if (mask(name) && isDeepStrictEqual(change, masked))
      errors.push({ path, message: 'is a mask, and there is nothing behind it' });
    else headers.set(name, storedValue(change));
  }
  if (errors.length > 0) return { errors: errors.slice(0, faultsMax) };
  const after = Object.fromEntries(headers);
  if (headers.size > headersMax)
    return { errors: [{ path: 'headers', message: `must not be more than ${headersMax}` }] };
  if (Buffer.byteLength(JSON.stringify(after)) > headerBytesMax)
    return { errors: [{ path: 'headers', message: `must not exceed ${headerBytesMax} bytes` }] };
  return { headers: after };
}

function storedValue(change: ShownValue | ShownValue[]): HeaderValue {
  const one = (value: ShownValue) => (typeof value === 'string' ? { t: value } : { b: value.base64 });
  if (!Array.isArray(change)) return one(change);
  const all = change.map(one);
  return { ...(all.at(-1) ?? { t: '' }), all };
}

/** The text of a header; undefined for bytes and for what is there several times. */
export function textOf(headers: StoredHeaders, name: string): string | undefined {
  const header = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return header !== undefined && header.all === undefined && 't' in header ? header.t : undefined;
}

/** Of what the letter itself knows: used where its value cannot be read. */
export type Locks = { key: string | null; headers: StoredHeaders };

// Wherever they stand: an order within an event has a tenant of its own, and moving it would be as bad.
const lockedEverywhere = new Set(['tenant_id', 'user_id']);
const lockedAtTop = new Set(['event_type', 'event_id']);

/**
 * What the new value changes though it is locked. The event id is: the server gives the new one.
 *
 * @param before as it was decoded; undefined when it could not be: then the headers say what is locked
 */
export function lockedChanges(before: unknown, after: unknown, { key, headers }: Locks): FieldError[] {
  if (before !== undefined) {
    const errors: FieldError[] = [];
    compare(before, after, [], key, errors);
    return errors.slice(0, faultsMax);
  }
  return ['event_type', 'tenant_id', 'user_id'].flatMap((name) => {
    const locked = textOf(headers, name);
    const isKept = locked === undefined || !isObject(after) || own(after, name) === locked;
    return isKept ? [] : [{ path: `value.${name}`, message: `is locked: the header says ${locked}` }];
  });
}

function compare(
  before: unknown,
  after: unknown,
  path: string[],
  key: string | null,
  errors: FieldError[],
): void {
  if (!isObject(before) && !isObject(after)) return;
  const names = new Set([
    ...(isObject(before) ? Object.keys(before) : []),
    ...(isObject(after) ? Object.keys(after) : []),
  ]);
  for (const name of names) {
    const [was, is] = [own(before, name), own(after, name)];
    const isLocked =
      lockedEverywhere.has(name) ||
      (path.length === 0 && lockedAtTop.has(name)) ||
      // What the record is about: under another id it would be behind another's records.
      (/(^|_)id$/.test(name) && key !== null && was === key);
    // The server gives the new one: to leave it out changes nothing.
    if (path.length === 0 && name === 'event_id' && is === undefined && isObject(after)) continue;
    if (!isLocked) compare(was, is, [...path, name], key, errors);
    else if (!isDeepStrictEqual(was, is) && errors.length < faultsMax)
      errors.push({ path: ['value', ...path, name].join('.'), message: 'is locked' });
  }
}

/** The value with its new id. */
export function withEventId(value: unknown, eventId: string): unknown {
  return isObject(value) && !Array.isArray(value) ? { ...value, event_id: eventId } : value;
}

/** The headers of an edited record: its new id, and the one that it had at first. */
export function withNewId(headers: StoredHeaders, eventId: string, editedFrom: string | null): StoredHeaders {
  return { ...headers, id: { t: eventId }, ...(editedFrom !== null && { 'edited-from': { t: editedFrom } }) };
}

/** Headers of ours that a record without them lacked, from the value that it has now. */
export function withMissing(headers: StoredHeaders, value: unknown): StoredHeaders {
  const added = ['event_type', 'tenant_id', 'user_id'].flatMap((name) => {
    const text = own(value, name);
    return typeof text === 'string' && !Object.hasOwn(headers, name) ? [[name, { t: text }] as const] : [];
  });
  return { ...headers, ...Object.fromEntries(added) };
}

function own(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

const depthMax = 64;

/** Neither so deep that walking it would end the stack, nor with a field that a copy of it would lose. */
export function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth > depthMax || Object.hasOwn(value, '__proto__')) return false;
  return Object.values(value).every((item) => isPlain(item, depth + 1));
}
