/** Makes sure that the schemas of some records are at hand before they are decoded in one go. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import { type Codec, CodecError } from '@ragline/schemas/codec';
import type { FetchedPartition } from '@ragline/streams/tail-records';

const retryMs = 500;

/**
 * Looks up what is new, once a schema. While the registry is away it waits: going on would show an event to nobody
 * and never again. A schema that the registry does not know hides its record; the group dead-letters it.
 */
export function createSchemaCache({
  codec,
  log,
  isStopping,
}: {
  codec: Pick<Codec, 'decode'>;
  log: Logger;
  isStopping: () => boolean;
}) {
  const known = new Set<number>();

  async function lookUp(value: Buffer): Promise<boolean> {
    for (let isFirst = true; !isStopping(); isFirst = false) {
      try {
        await codec.decode(value);
        return true;
      } catch (error) {
        if (error instanceof CodecError) return error.code === 'malformed_avro';
        if (isFirst) log.warn('live plane waits for the registry', { error });
        await delay(retryMs);
      }
    }
    return false;
  }

  return async (fetched: FetchedPartition[]): Promise<void> => {
    for (const { records } of fetched) {
      for (const { value } of records) {
        if (value === null || value.length < 5 || value[0] !== 0) continue;
        const schemaId = value.readUInt32BE(1);
        if (!known.has(schemaId) && (await lookUp(value))) known.add(schemaId);
      }
    }
  };
}
