/** The file of withdrawn orders: after a restore the only thing that knows them, so it is there when whole, and never before. */
import { link, lstat, open, rm } from 'node:fs/promises';
import { type Codec, CodecError } from '@ragline/schemas/codec';
import type { OnWithdrawn } from './withdrawn.ts';

/** `unread`: orders whose last event had gone from its topic. */
export type Written<T> = { result: T; unread: number };

/**
 * Writes a file of a line of JSON for each order, beside its place, and gives it its name when whole. Throws an Error when
 * a file of this name is there, and what `fill` or the registry throws; then nothing is left.
 *
 * @param fill tells of each order
 */
export async function writeWithdrawn<T>(
  file: string,
  codec: Pick<Codec, 'decode'>,
  fill: (onWithdrawn: OnWithdrawn) => Promise<T>,
): Promise<Written<T>> {
  await refuseUsed(file);
  // Always of the same name: what a killed one has left is found, and not forgotten with all that is in it.
  const partial = `${file}.partial`;
  // Customers' orders: for its owner alone.
  const out = await open(partial, 'wx', 0o600).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new Error(
      `${partial} is there: another run is writing it, or was killed before it was whole: remove it`,
    );
  });
  let unread = 0;
  let result: T;
  try {
    result = await fill(async (order, value) => {
      if (value === null) unread += 1;
      await out.appendFile(`${JSON.stringify({ ...order, ...(await contentOf(codec, value)) })}\n`);
    });
    await out.sync();
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    await out.close();
  }
  // Unlike a rename it takes nobody's place who came meanwhile.
  await link(partial, file).catch((cause: unknown) => {
    throw new Error(`The list is whole, and could not be called ${file}: it is ${partial}`, { cause });
  });
  await rm(partial);
  return { result, unread };
}

async function refuseUsed(file: string): Promise<void> {
  const there = await lstat(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (there !== undefined)
    throw new Error(
      `${file} is there already, and may be the only one that knows its orders: name a new file`,
    );
}

async function contentOf(codec: Pick<Codec, 'decode'>, value: Buffer | null) {
  if (value === null) return { event: null };
  try {
    return { event: (await codec.decode(value)).value };
  } catch (error) {
    // Of a schema that the registry has forgotten too: the bytes, for whoever still has it.
    if (error instanceof CodecError) return { value: value.toString('base64') };
    // A registry that is away says nothing of the event, and all of the list would be bytes.
    throw error;
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
