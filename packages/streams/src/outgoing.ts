/** Records on their way out: how large they are, and that one which Kafka refuses harms no other. */
import { UnavailableError } from './errors.ts';
import type { OutgoingRecord, Producer } from './producer.ts';

/** Bytes of key, value and headers. */
export function sizeOf({ key, value, headers = {} }: OutgoingRecord): number {
  const ofHeaders = Object.entries(headers)
    .flat(2)
    .map((part) => Buffer.byteLength(part ?? ''));
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders.reduce((sum, size) => sum + size, 0);
}

/**
 * Sends records together, and one after another when they are refused so. Gives for each its error, undefined when it
 * is stored; one that is may be there twice.
 */
export async function sendEach(
  producer: Pick<Producer, 'send'>,
  topic: string,
  records: readonly OutgoingRecord[],
): Promise<unknown[]> {
  try {
    await producer.send(topic, [...records]);
    return records.map(() => undefined);
  } catch (error) {
    if (records.length === 1 || error instanceof UnavailableError) return records.map(() => error);
    const errors: unknown[] = [];
    for (const record of records) errors.push(...(await sendEach(producer, topic, [record])));
    return errors;
  }
}
