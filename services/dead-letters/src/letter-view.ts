/** A letter as its reader sees it: without what may not be shown. */

import type { AttemptRow, LetterRow, LetterSummary, NoteRow, StoredHeaders } from './letter.ts';
import { keyText } from './letter-key.ts';
import type { WholeLetter } from './store.ts';

/** Whether a header of this name is shown by its name alone. */
export type Mask = (name: string) => boolean;

/** What stands for a value that is not shown. In an edit it means: as it was. */
export const masked = '***';

/** Headers that are secrets in most systems; SENSITIVE_HEADERS replaces them. */
export const sensitiveHeaders = [
  'authorization',
  'proxy-authorization',
  '*cookie*',
  '*token*',
  '*secret*',
  '*password*',
  '*api-key*',
  '*apikey*',
  '*credential*',
];

/** @param patterns names, `*` for anything; case, - and _ make no difference */
export function maskOf(patterns: readonly string[]): Mask {
  const plain = (text: string) => text.toLowerCase().replaceAll('_', '-');
  const escaped = (text: string) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  const all = patterns.map((pattern) => new RegExp(`^${escaped(plain(pattern))}$`, 's'));
  return (name) => all.some((pattern) => pattern.test(plain(name)));
}

export type ShownValue = string | { base64: string };
export type ShownHeaders = Record<string, ShownValue | ShownValue[]>;

export function shownHeaders(headers: StoredHeaders, mask: Mask): ShownHeaders {
  const shown = (value: StoredHeaders[string]): ShownValue => ('t' in value ? value.t : { base64: value.b });
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      if (mask(name)) return [name, masked];
      return [name, value.all === undefined ? shown(value) : value.all.map(shown)];
    }),
  );
}

/** A letter of a list: without its value, its headers and its stack. */
export function summaryView(letter: LetterSummary) {
  const { group_id: group, key, attempts, source, batch_id, parked_record: _parked, ...it } = letter;
  const { id, state, topic, partition, offset, ...rest } = it;
  return {
    ...{ id, state, group, topic, partition, offset },
    key: keyText(key),
    ...rest,
    attempt_count: attempts,
    source,
    batch_id,
  };
}

/** A whole letter, as GET /v1/dead-letters/{id} shows it. */
export function viewOf({ letter, history, notes, actions }: WholeLetter, mask: Mask) {
  const { schema_id, decoded, value, headers, error_stack, fingerprint_parts, decode_error } = letter;
  const { dlq_topic, dlq_partition, dlq_offset, original_timestamp, inbox_id, parked_record } = letter;
  return {
    ...summaryView(summaryOf(letter)),
    schema_id,
    value: decoded ?? null,
    raw: value === null ? null : value.toString('base64'),
    headers: shownHeaders(headers, mask),
    error_stack,
    attempts: history.map(attemptView),
    notes: notes.map(noteView),
    ...(actions === undefined ? {} : { actions }),
    decode_error,
    group_why: whyOf(fingerprint_parts),
    parked_record: parked_record === null ? null : String(parked_record),
    inbox_id,
    original_timestamp,
    dead_letter_topic: { topic: dlq_topic, partition: dlq_partition, offset: dlq_offset },
  };
}

/** Why letters stand in one group, part by part. */
export function whyOf(parts: LetterRow['fingerprint_parts']) {
  const { algorithm, group, event_type, error_class, message, frame } = parts;
  return { algorithm, group, event_type, error_class, message, frame };
}

function attemptView({ number: _number, ...attempt }: AttemptRow) {
  return attempt;
}

function noteView({ id, user_id, text, at }: NoteRow) {
  return { id, user_id, text, at };
}

function summaryOf(letter: LetterRow): LetterSummary {
  const { error_stack, deaths, inbox_id, schema_id, value, decoded, decode_error, headers, ...rest } = letter;
  const { dlq_topic, dlq_partition, dlq_offset, original_timestamp, fingerprint_parts, ...summary } = rest;
  return summary;
}
