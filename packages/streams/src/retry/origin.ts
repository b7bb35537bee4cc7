/** A record that comes back from a retry topic: which record it was, and how often it was tried. */
import { type ConsumedRecord, textHeaders } from '../record.ts';
import { newTask, type Task } from '../task.ts';

export const inboxIdHeader = 'inbox-id';

/** The record as the group first met it, with its own bytes; unchanged where no header says where that was. */
export function originalOf(record: ConsumedRecord): ConsumedRecord {
  const headers = textHeaders(record.headers);
  const { 'original-topic': topic, 'original-offset': offset } = headers;
  const partition = Number(headers['original-partition'] ?? Number.NaN);
  if (topic === undefined || offset === undefined || !/^\d+$/.test(offset) || !Number.isInteger(partition)) {
    return record;
  }
  return {
    ...record,
    topic,
    partition,
    offset,
    timestamp: timeFrom(headers['original-timestamp']) ?? record.timestamp,
  };
}

/** Milliseconds: before it the record may not be tried; undefined when it may be at once. */
export function notBeforeOf({ headers }: Pick<ConsumedRecord, 'headers'>): number | undefined {
  return timeFrom(textHeaders(headers)['not-before']);
}

/** The next attempt at a record that failed before. */
export function returnedTask<E>(record: ConsumedRecord, now: number): Task<E> {
  const headers = textHeaders(record.headers);
  const tried = Number(headers.attempt ?? Number.NaN);
  return {
    ...newTask<E>(record, now),
    attempt: Number.isSafeInteger(tried) && tried > 0 ? tried + 1 : 1,
    firstFailedAt: timeFrom(headers['first-failed-at']),
    notBefore: notBeforeOf(record) ?? now,
  };
}

function timeFrom(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
