/** The dead letter of a parked record: the original bytes on `<group>.dlq`, with what names the record in its line. */
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import { timeOf } from '../dead-letter.ts';
import { UnavailableError } from '../errors.ts';
import { sendEach, sizeOf } from '../outgoing.ts';
import type { OutgoingRecord, Producer } from '../producer.ts';
import type { Letter, Place } from './store.ts';
import { together } from './together.ts';

// Less than what the topics take as one batch of a partition.
const requestBytesMax = 512 * 1024;

type Announcing = { place: Place; letter: Letter; stored: PromiseWithResolvers<void> };

/** Resolves when the letter is stored; it may be there twice. Letters of the same turn go together. */
export function announceTo(producer: Pick<Producer, 'send'>) {
  const send = together<Announcing>(async (all) => {
    for (const [topic, group] of Map.groupBy(all, ({ place }) => deadLetterTopicOf(place.group_id))) {
      const left = [...group];
      for (const request of requestsOf(group.map(({ place, letter }) => letterRecord(place, letter)))) {
        const asked = left.splice(0, request.length);
        const errors = await sendEach(producer, topic, request);
        for (const [at, it] of asked.entries()) await settle(topic, it, errors[at]);
      }
    }
  });

  async function settle(topic: string, { place, letter, stored }: Announcing, error: unknown): Promise<void> {
    if (error === undefined) stored.resolve();
    else if (error instanceof UnavailableError) stored.reject(error);
    // Kafka will never take it as it is. An operator must hear of it all the same.
    else await producer.send(topic, [bareRecord(place, letter, error)]).then(stored.resolve, stored.reject);
  }

  return (place: Place, letter: Letter): Promise<void> => {
    const stored = Promise.withResolvers<void>();
    // What fails as a whole fails for each.
    send({ place, letter, stored }).catch(stored.reject);
    return stored.promise;
  };
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

/** All that we say stands over what the record says of itself: copied from elsewhere it may name another's death. */
function letterRecord(place: Place, letter: Letter): OutgoingRecord {
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
  return { key: letter.key, value: letter.value, headers: { ...headers, ...once, ...last } };
}

const believed = ['id', 'event_type', 'tenant_id', 'traceparent'];
const shortMax = 200;

/** The letter without its content, which stays in the line. */
function bareRecord(place: Place, letter: Letter, refusal: unknown): OutgoingRecord {
  const reason = refusal instanceof Error ? refusal.message : String(refusal);
  const short = Object.entries(letter.headers).filter(
    ([name, value]) => believed.includes(name) && Buffer.byteLength(String(value ?? '')) <= shortMax,
  );
  const message = `${letter.error.message} (without its content, which Kafka refused: ${reason})`;
  const error = { ...letter.error, message };
  return letterRecord(place, { ...letter, value: null, headers: Object.fromEntries(short), error });
}
