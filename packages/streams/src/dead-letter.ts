/** The record that a group leaves in `<group>.dlq`: the original, with the reason in headers. */
import type { ConsumedRecord, RawHeaders } from './record.ts';

export type Death = {
  groupId: string;
  errorCode: string;
  error: unknown;
  /** How often it was tried, from 1. */
  attempt: number;
  /** Milliseconds since the epoch: when the last attempt was due, when the first and the last one failed. */
  notBefore: number;
  firstFailedAt: number;
  failedAt: number;
  /** Under which the group's inbox knows the record, so that its fate can be asked for. */
  inboxId?: string | undefined;
};

export type DeadLetter = { key: Buffer | null; value: Buffer | null; headers: RawHeaders };

const stackBytesMax = 4_096;
const messageBytesMax = 1_024;

/**
 * Key and value are the original's own bytes, null stays null; its headers are kept as they are.
 *
 * `original-*` and `first-failed-at` are only added where they are missing: a letter that dies again keeps the
 * address of its first death. Times are RFC 3339 with milliseconds.
 */
export function deadLetterOf(record: ConsumedRecord, death: Death): DeadLetter {
  const once: Record<string, string> = {
    'original-topic': record.topic,
    'original-partition': String(record.partition),
    'original-offset': record.offset,
    'original-timestamp': timeOf(record.timestamp),
    'original-group': death.groupId,
    'first-failed-at': timeOf(death.firstFailedAt),
  };
  const { name, message, stack } = partsOf(death.error);
  const last: Record<string, string> = {
    attempt: String(death.attempt),
    'not-before': timeOf(death.notBefore),
    'error-code': death.errorCode,
    'error-class': name,
    'error-message': message,
    'error-stack': stack,
    'failed-at': timeOf(death.failedAt),
    ...(death.inboxId === undefined ? {} : { 'inbox-id': death.inboxId }),
  };
  return { key: record.key, value: record.value, headers: { ...once, ...record.headers, ...last } };
}

/** What a letter says of an error: message and stack cut to what headers may hold. */
export function partsOf(error: unknown): { name: string; message: string; stack: string } {
  if (!(error instanceof Error))
    return { name: typeof error, message: cut(String(error), messageBytesMax), stack: '' };
  // What is thrown may have anything in these.
  const { name, message, stack = '' } = error;
  return {
    name: cut(String(name), messageBytesMax),
    message: cut(String(message), messageBytesMax),
    stack: cut(String(stack), stackBytesMax),
  };
}

/** RFC 3339; '' for what is no time. */
export function timeOf(ms: number): string {
  const date = new Date(ms);
  // A foreign producer may stamp anything.
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

/** At most `bytes` of UTF-8, never half a character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  let end = bytes;
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.toString('utf8', 0, end);
}
