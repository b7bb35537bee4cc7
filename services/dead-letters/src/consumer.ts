/** From the records of dead letter topics to letters: one by one as they come, kept in as few transactions as it takes. */
import { type Codec, CodecError } from '@ragline/schemas/codec';
import type { ConsumedRecord } from '@ragline/streams/record';
import { letterFrom, type NewLetter, type Reading } from './domain.ts';
import type { Kept } from './letter-keep.ts';

/** Not a setting: under another name the group has no offsets and reads every letter again. */
export const groupId = 'dead-letters';

type Decoder = Pick<Codec, 'decode' | 'decodeSync'>;

/**
 * Keeps the letter of a record; safe to call again with the same one.
 *
 * Errors are left to startConsumer: while the registry or Postgres is away it waits, and nobody stands behind this
 * group, so it tries until the letter is kept.
 */
export function keepDeadLetter(codec: Decoder, keep: (letter: NewLetter) => Promise<Kept>) {
  return async (record: ConsumedRecord): Promise<Kept> =>
    keep(letterFrom(record, await readingOf(record.value, codec), new Date()));
}

/** Throws only while the registry cannot answer. */
async function readingOf(value: Buffer | null, codec: Decoder): Promise<Reading> {
  if (value === null) return { decoded: null, decode_error: 'value_null' };
  try {
    return { decoded: await decoded(value, codec), decode_error: null };
  } catch (error) {
    if (error instanceof CodecError) return { decoded: null, decode_error: error.code };
    if (error instanceof Error && error.name === 'RegistryUnavailableError') throw error;
    // Whatever else bytes may do to a decoder, they do it again.
    return { decoded: null, decode_error: 'malformed_avro' };
  }
}

async function decoded(value: Buffer, codec: Decoder): Promise<unknown> {
  try {
    return codec.decodeSync(value).value;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SchemaNotCached') throw error;
    return (await codec.decode(value)).value;
  }
}

type Waiting = { letter: NewLetter; resolve: (kept: Kept) => void; reject: (error: unknown) => void };

const lettersMax = 500;
const bytesMax = 8 * 1024 * 1024;

/**
 * One letter at a time in, many at a time out: what comes while a transaction is under way shares the next one.
 * When that fails, each of its callers is told, and comes again.
 */
export function together(keepMany: (letters: readonly NewLetter[]) => Promise<Kept[]>) {
  const queue: Waiting[] = [];
  let isBusy = false;

  return (letter: NewLetter): Promise<Kept> => {
    const { promise, resolve, reject } = Promise.withResolvers<Kept>();
    queue.push({ letter, resolve, reject });
    if (!isBusy) {
      isBusy = true;
      // What arrives in the same turn of the loop belongs to the first transaction.
      setImmediate(() => void drain());
    }
    return promise;
  };

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const batch = nextBatch();
      try {
        const kept = await keepMany(batch.map(({ letter }) => letter));
        for (const [index, { resolve }] of batch.entries()) resolve(kept[index] ?? 'copy');
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isBusy = false;
  }

  function nextBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { letter } of queue) {
      bytes += sizeOf(letter);
      if (count > 0 && (count === lettersMax || bytes > bytesMax)) break;
      count += 1;
    }
    return queue.splice(0, count);
  }
}

function sizeOf({ value, key, decoded: json }: NewLetter): number {
  return (value?.length ?? 0) + (key?.length ?? 0) + (json?.length ?? 0);
}
