/** The dead letter of a parked record: the original bytes on `<group>.dlq`, with what names the record in its line. */
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import { timeOf } from '../dead-letter.ts';
import type { OutgoingRecord, Producer } from '../producer.ts';
import type { Letter, Place } from './store.ts';
import { together } from './together.ts';

// Less than what the topics take as one batch of a partition.
const requestBytesMax = 512 * 1024;

/** Resolves when the letter is stored; it may be there twice. Letters of the same turn go together. */
export function announceTo(producer: Producer) {
  const send = together<{ place: Place; letter: Letter }>(async (all) => {
    for (const [topic, letters] of Map.groupBy(all, ({ place }) => deadLetterTopicOf(place.group_id))) {
      const records = letters.map(({ place, letter }) => letterRecord(place, letter));
      for (const request of requestsOf(records)) await producer.send(topic, request);
    }
  });
  return (place: Place, letter: Letter): Promise<void> => send({ place, letter });
}

/** In their order, as many together as a broker takes; one that is larger goes alone. */
export function requestsOf(records: readonly OutgoingRecord[]): OutgoingRecord[][] {
  const requests: OutgoingRecord[][] = [];
  let bytes = requestBytesMax;
  for (const record of records) {
    const size = sizeOf(record);
    if (bytes + size > requestBytesMax) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)?.push(record);
    bytes += size;
  }
  return requests;
}

function sizeOf({ key, value, headers = {} }: OutgoingRecord): number {
  const ofHeaders = Object.entries(headers)
    .flat(2)
    .map((part) => Buffer.byteLength(part ?? ''));
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders.reduce((sum, size) => sum + size, 0);
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
