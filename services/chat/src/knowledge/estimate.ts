/** How many chunks a text makes, about: cheap, so that what would make too many is refused when it comes in. */
import { type ChunkLimits, chunksOf, type Kind } from './chunk.ts';

// What the smallest model reads.
const maxTokens = 256;
// Of plain words; a letter of other scripts has several bytes, and is more of a token.
const bytesPerToken = 4;
const roughTokenizer = {
  countTokens: (text: string) => Math.ceil(Buffer.byteLength(text) / bytesPerToken) + 2,
  maxTokens,
};
const chunksBetweenBreaths = 50;

/** Whether the document would make more chunks than `most`. */
export async function isInTooManyPieces(
  { kind, title, text }: { kind: Kind; title: string; text: string },
  limits: ChunkLimits,
  most: number,
): Promise<boolean> {
  const source = { kind, title, text, category: null, tags: [], allergens: [], facts: [] };
  let chunks = 0;
  for (const _ of chunksOf(source, limits, [roughTokenizer])) {
    chunks += 1;
    if (chunks > most) return true;
    if (chunks % chunksBetweenBreaths === 0) await new Promise(setImmediate);
  }
  return false;
}
