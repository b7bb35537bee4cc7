/** The one way to find passages: query → vector → candidates → business rules → diversified top within a budget. */
import type { Chunk, Filter } from './chunk.ts';

export type { Chunk, Filter, Kind } from './chunk.ts';

export type RetrievalRequest = {
  tenant_id: string;
  query: string;
  /** Chunks at most; 8. */
  limit?: number;
  /** Tokens of all chunks together at most; 1,500. */
  tokenBudget?: number;
  /** What the caller's code decided. */
  server?: Filter;
  /** What a model or a customer asked for: it can only narrow what `server` lets through. */
  narrow?: Filter;
  signal?: AbortSignal;
};

export type Retrieved = {
  /** The best first, by score and business rules. */
  chunks: Chunk[];
  /** Whether the query's vector came from a cache. */
  cached: boolean;
  path: 'exact' | 'hnsw' | 'ivfflat';
  /** How many were looked at by the rules. */
  candidates: number;
  timings_ms: Record<string, number>;
};

export type Retriever = {
  /** Throws UnavailableError when the embedding model is away; errors of Postgres pass through. */
  retrieve(request: RetrievalRequest): Promise<Retrieved>;
};
