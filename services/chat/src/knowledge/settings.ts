/** Settings of documents and chunks; the service's config.ts reads them with its own. */
import type { SettingsReader } from '@ragline/runtime/settings';
import { usualLimits } from './chunk.ts';

export type KnowledgeSettings = ReturnType<typeof readKnowledgeSettings>;

export function readKnowledgeSettings(env: SettingsReader) {
  const tokens = (name: string, usual: number) => env.integer(name, usual, { min: 64, max: 8_000 });
  return {
    /** Tokens a chunk may have, header and special tokens included; what the embedding model reads goes before. */
    limits: {
      menu: tokens('CHUNK_MENU_TOKENS', usualLimits.menu),
      policy: tokens('CHUNK_POLICY_TOKENS', usualLimits.policy),
      faq: tokens('CHUNK_FAQ_TOKENS', usualLimits.faq),
      note: tokens('CHUNK_NOTE_TOKENS', usualLimits.note),
    },
    /** Documents of a tenant. */
    documentsMax: env.integer('DOCUMENTS_MAX', 5_000, { min: 1 }),
    /** Letters of a document's text, once it is read. */
    lettersMax: env.integer('DOCUMENT_LETTERS_MAX', 1_000_000, { min: 1_000, max: 10_000_000 }),
    /** Chunks that a document may make, by an estimate. */
    chunksMax: env.integer('DOCUMENT_CHUNKS_MAX', 2_000, { min: 10, max: 20_000 }),
    /** How long the reading of one may take. */
    parseDeadlineMs: env.integer('DOCUMENT_PARSE_MS', 10_000, { min: 100, max: 60_000 }),
  };
}
