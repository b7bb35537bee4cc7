/** The dead letter of a parked record: the original bytes on `<group>.dlq`, with what names the record in its line. */
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import { timeOf } from '../dead-letter.ts';
import type { OutgoingRecord, Producer } from '../producer.ts';
import type { Letter, Place } from './store.ts';

/** Resolves when the letter is stored; it may be there twice. */
export function announceTo(producer: Producer) {
  return (place: Place, letter: Letter): Promise<void> =>
    producer.send(deadLetterTopicOf(place.group_id), [letterRecord(place, letter)]);
}

/** `original-*` and `first-failed-at` are only added where they are missing, as in every dead letter. */
export function letterRecord(place: Place, letter: Letter): OutgoingRecord {
  const { error, headers, firstFailedAt } = letter;
  const once = {
    'original-topic': place.topic,
    'original-partition': String(place.partition),
    'original-offset': letter.offset,
    'original-timestamp': timeOf(letter.timestamp),
    'original-group': place.group_id,
    'first-failed-at': firstFailedAt === undefined ? error.failed_at : timeOf(firstFailedAt),
  };
  const last = {
    attempt: String(error.attempt),
    'not-before': error.not_before,
    'error-code': error.code,
    'error-class': error.class,
    'error-message': error.message,
    'error-stack': error.stack,
    'failed-at': error.failed_at,
    'inbox-id': letter.inbox_id,
    'parked-record': String(letter.recordId),
    deaths: String(letter.deaths),
  };
  return { key: letter.key, value: letter.value, headers: { ...once, ...headers, ...last } };
}
