/**
 * What others write into the headers of their dead letters.
 *
 * - Spring Kafka: `kafka_dlt-*`; partition is an int, offset and timestamp are longs, all big endian, the rest UTF-8
 *   (org.springframework.kafka.support.KafkaHeaders; written by DeadLetterPublishingRecoverer)
 * - Kafka Connect: `__connect.errors.*`, all text (KIP-298; org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter).
 *   A sink connector reads as the group `connect-<connector's name>`
 * - Kafka Streams: `__streams.errors.*`, all text (KIP-1034; org.apache.kafka.streams.errors.ExceptionHandlerUtils). It does
 *   not say which application it was; `exception` is `<class>: <message>`
 * - Share groups of Kafka 4.4: `__dlq.errors.*`, all text (KIP-1191; org.apache.kafka.server.share.dlq). Without a copy of
 *   the record, when the group does not ask for one
 */
import type { LetterSource } from './letter.ts';

/** How headers begin that others add to a record when they give it up. */
export const foreignPrefixes = ['kafka_dlt-', '__connect.errors.', '__streams.errors.', '__dlq.errors.'];

/** A header's last value, if there is one. */
export type Read = (name: string) => Buffer | undefined;

/** As the headers say; what is absent or absurd is undefined, so that nothing of it is believed halfway. */
export type Origin = {
  source: LetterSource;
  topic: string | undefined;
  partition: number | undefined;
  offset: bigint | undefined;
  group: string | undefined;
  timestamp: number | undefined;
  attempt: number | undefined;
  error_code: string | undefined;
  error_class: string | undefined;
  error_message: string | undefined;
  error_stack: string | undefined;
};

/** undefined when no header of theirs is there. */
export function foreignOrigin(read: Read): Origin | undefined {
  if (read('kafka_dlt-original-topic') ?? read('kafka_dlt-exception-fqcn')) return springOrigin(read);
  if (read('__connect.errors.topic') ?? read('__connect.errors.connector.name')) return connectOrigin(read);
  if (read('__streams.errors.exception') ?? read('__streams.errors.topic')) return streamsOrigin(read);
  if (read('__dlq.errors.group') ?? read('__dlq.errors.topic')) return shareOrigin(read);
  return undefined;
}

function springOrigin(read: Read): Origin {
  const at = (name: string) => read(`kafka_dlt-${name}`);
  // The cause is what the handler threw; the exception itself is as a rule the listener's wrapper around it. A record that
  // could not be decoded has the same headers with the word key or value in them.
  const cause = ['exception-cause-fqcn', 'exception-fqcn', 'key-exception-fqcn'];
  return {
    source: 'spring',
    topic: textOf(at('original-topic')),
    partition: numberOf(intOf(at('original-partition'), 4)),
    offset: intOf(at('original-offset'), 8),
    group: textOf(at('original-consumer-group')),
    timestamp: numberOf(intOf(at('original-timestamp'), 8)),
    attempt: numberOf(intOf(read('kafka_deliveryAttempt'), 4)),
    error_code: undefined,
    error_class: cause.map((name) => textOf(at(name))).find((it) => it !== undefined),
    error_message: textOf(at('exception-message')) ?? textOf(at('key-exception-message')),
    error_stack: textOf(at('exception-stacktrace')) ?? textOf(at('key-exception-stacktrace')),
  };
}

function connectOrigin(read: Read): Origin {
  const at = (name: string) => textOf(read(`__connect.errors.${name}`));
  const connector = at('connector.name');
  return {
    source: 'connect',
    topic: at('topic'),
    partition: numberOf(decimalOf(at('partition'))),
    offset: decimalOf(at('offset')),
    group: connector === undefined ? undefined : `connect-${connector}`,
    timestamp: undefined,
    attempt: undefined,
    error_code: at('stage')?.toLowerCase(),
    error_class: at('exception.class.name'),
    error_message: at('exception.message'),
    error_stack: at('exception.stacktrace'),
  };
}

function streamsOrigin(read: Read): Origin {
  const at = (name: string) => textOf(read(`__streams.errors.${name}`));
  return {
    source: 'streams',
    topic: at('topic'),
    partition: numberOf(decimalOf(at('partition'))),
    offset: decimalOf(at('offset')),
    group: undefined,
    timestamp: undefined,
    attempt: undefined,
    error_code: undefined,
    error_class: at('exception')?.match(/^[\w.$]+/)?.[0],
    error_message: at('message') ?? at('exception'),
    error_stack: at('stacktrace'),
  };
}

function shareOrigin(read: Read): Origin {
  const at = (name: string) => textOf(read(`__dlq.errors.${name}`));
  return {
    source: 'share',
    topic: at('topic'),
    partition: numberOf(decimalOf(at('partition'))),
    offset: decimalOf(at('offset')),
    group: at('group'),
    timestamp: undefined,
    attempt: numberOf(decimalOf(at('delivery.count'))),
    error_code: undefined,
    error_class: undefined,
    error_message: at('message'),
    error_stack: undefined,
  };
}

export function textOf(value: Buffer | undefined): string | undefined {
  return value === undefined || value.length === 0 ? undefined : value.toString('utf8');
}

/** Decimal digits, of a number that a long can hold; undefined for anything else. */
export function decimalOf(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value <= longMax ? value : undefined;
}

const longMax = 2n ** 63n - 1n;

/** A number of the right length in binary, or, since some write their own recoverer, in digits. */
function intOf(value: Buffer | undefined, bytes: 4 | 8): bigint | undefined {
  const digits = decimalOf(textOf(value));
  // Four or eight digits have the length of a number in binary, but such a number would be beyond all partitions and offsets.
  if (value?.length !== bytes || digits !== undefined) return digits;
  const number = bytes === 4 ? BigInt(value.readInt32BE()) : value.readBigInt64BE();
  return number < 0n ? undefined : number;
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(value);
}
