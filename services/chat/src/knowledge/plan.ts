/** Which rows a source's new chunks become. Pure. */
import type { NewChunk } from './chunk.ts';

export type KnownChunk = { id: string; ordinal: number; content_hash: string };

/** `isNew`: its text is another than the row had, so it is to be embedded. */
export type PlannedChunk = NewChunk & { id: string; isNew: boolean };
export type Plan = { chunks: PlannedChunk[]; gone: string[] };

/**
 * A chunk whose text is known keeps its row, wherever it stands now, and so its vector. One whose text is new takes the
 * row that stood in its place: until it is embedded it is found by the old vector, rather than not at all.
 *
 * @param nextId for a chunk that takes nobody's place
 */
export function planChunks(
  known: readonly KnownChunk[],
  wanted: readonly NewChunk[],
  nextId: () => string,
): Plan {
  const free = new Map(known.map((it) => [it.id, it]));
  const byHash = Map.groupBy(known, ({ content_hash }) => content_hash);
  const kept = wanted.map(({ content_hash }) => {
    const row = byHash.get(content_hash)?.shift();
    if (row !== undefined) free.delete(row.id);
    return row;
  });
  const byOrdinal = new Map([...free.values()].map((it) => [it.ordinal, it]));
  const chunks = wanted.map((chunk, index) => {
    const row = kept[index] ?? byOrdinal.get(chunk.ordinal);
    if (row !== undefined) free.delete(row.id);
    return { ...chunk, id: row?.id ?? nextId(), isNew: kept[index] === undefined };
  });
  return { chunks, gone: [...free.keys()] };
}
