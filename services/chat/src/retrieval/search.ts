/** The nearest chunks, from Postgres: one statement, under the policies of its tenant. */
import type { Pool } from '@ragline/postgres/pool';
import { vectorText } from '../embedding/store.ts';
import type { Chunk, Filter } from './chunk.ts';
import type { Rankable } from './rank.ts';

/**
 * exact measures every chunk and then filters; filtered the other way round, and tagged as well, by the index of tags: all
 * three miss nothing. index goes along the vectors' index.
 */
export type SearchPath = 'exact' | 'filtered' | 'tagged' | 'index';
export type Search = {
  tenantId: string;
  modelId: string;
  vector: Float32Array;
  filter: Filter;
  path: SearchPath;
  limit: number;
  breadth: number;
};
/** A chunk with what it is ranked by. */
export type Candidate = Rankable & { chunk: Chunk };

type Row = Omit<Chunk, 'changed_at'> & { changed_at: Date; promoted: boolean; vector: Buffer };

/** Candidates, the nearest first. */
export async function searchChunks(pool: Pool, search: Search): Promise<Candidate[]> {
  const { tenantId, modelId, vector, filter, path, limit, breadth } = search;
  const { rows } = await pool.query<Row>({
    name: 'chat_search_chunks',
    text: 'SELECT * FROM chat.search_chunks($1, $2, $3::halfvec, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)',
    values: [
      tenantId,
      modelId,
      vectorText(vector),
      path,
      limit,
      breadth,
      filter.kinds ?? null,
      filter.categories ?? null,
      filter.available ?? null,
      filter.minPrice ?? null,
      filter.maxPrice ?? null,
      filter.tags ?? null,
      filter.withoutAllergens ?? null,
    ],
  });
  return rows.map(({ promoted, vector: halves, changed_at, ...rest }) => ({
    chunk: { ...rest, changed_at: changed_at.toISOString() },
    score: rest.score,
    tokens: rest.tokens,
    promoted,
    changedAt: changed_at,
    vector: floatsOf(halves),
  }));
}

/** How many chunks a tenant has; beyond `most` it does not count on. */
export async function countChunks(pool: Pool, tenantId: string, most: number): Promise<number> {
  const { rows } = await pool.query<{ chunks: number }>({
    name: 'chat_count_chunks',
    text: 'SELECT chat.count_chunks($1, $2) AS chunks',
    values: [tenantId, most],
  });
  return rows[0]?.chunks ?? 0;
}

/** halfvec on the wire: the number of dimensions, two bytes of nothing, and each half, all big-endian. */
function floatsOf(halves: Buffer): Float32Array {
  const floats = new Float32Array(halves.readUInt16BE(0));
  for (let at = 0; at < floats.length; at++) floats[at] = floatOfHalf[halves.readUInt16BE(4 + 2 * at)] ?? 0;
  return floats;
}

/** Every half there is: a search reads some ten thousand. 1 bit is the sign, 5 the exponent, 10 the fraction. */
const floatOfHalf = Float32Array.from({ length: 0x10000 }, (_, half) => {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
});
