/** Settings of retrieval; the service's config.ts reads them with its own. */
import type { SettingsReader } from '@ragline/runtime/settings';

export type RetrievalSettings = ReturnType<typeof readRetrievalSettings>;

export function readRetrievalSettings(env: SettingsReader) {
  return {
    /** Up to so many chunks, a tenant's search measures every one of them. */
    exactMax: env.integer('RETRIEVAL_EXACT_MAX', 5_000, { max: 1_000_000 }),
    index: env.choice('RETRIEVAL_INDEX', ['hnsw', 'ivfflat'], 'hnsw'),
    /** gin: above the threshold, a search by tags asks an index of them first. */
    metadataIndex: env.choice('RETRIEVAL_METADATA_INDEX', ['none', 'gin'], 'none'),
    /** How widely the vectors' index is searched: ef_search of HNSW; a tenth of it are IVFFlat's probes. */
    breadth: env.integer('RETRIEVAL_BREADTH', 100, { min: 1, max: 1_000 }),
    /** Chunks less alike than this are not worth showing; hundredths of the cosine. */
    floorPercent: env.integer('RETRIEVAL_FLOOR_PERCENT', 15, { max: 100 }),
  };
}
