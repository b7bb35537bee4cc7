/** What was found, as the model is shown it: numbered, with what is true of it now beside its text. */
import type { Citation } from '../domain.ts';
import type { Chunk } from '../retrieval/chunk.ts';

/** One source. Prices and availability come from columns, which are newer than the text may be. */
export function renderChunk(chunk: Chunk, number: number): string {
  const facts = [
    chunk.price === null || chunk.currency === null ? '' : `price ${chunk.price} ${chunk.currency}`,
    chunk.available === null ? '' : chunk.available ? 'available' : 'not available',
    chunk.category === null ? '' : `category ${chunk.category}`,
    chunk.tags.length === 0 ? '' : `tags ${chunk.tags.join(', ')}`,
    chunk.allergens.length === 0 ? '' : `allergens ${chunk.allergens.join(', ')}`,
    chunk.kind === 'menu' ? `product_id ${chunk.source_id}` : '',
  ].filter((fact) => fact !== '');
  const head = `[${number}] ${chunk.header === '' ? chunk.title : chunk.header}`;
  return [head, ...(facts.length > 0 ? [`(${facts.join('; ')})`] : []), chunk.text].join('\n');
}

export const nothingFound = '(nothing was found)';

export function citationOf({ title, source, source_id }: Chunk, index: number): Citation {
  return { index, title, source, document_id: source_id };
}

/** Numbers chunks from 1, in the order in which they are first seen; one that has a number keeps it. */
export function createNumbering() {
  const numbers = new Map<string, number>();
  const chunks: Chunk[] = [];
  return {
    cite: (found: readonly Chunk[]): number[] =>
      found.map((chunk) => {
        const known = numbers.get(chunk.id);
        if (known !== undefined) return known;
        chunks.push(chunk);
        numbers.set(chunk.id, chunks.length);
        return chunks.length;
      }),
    /** In the order of their numbers. */
    chunks: (): readonly Chunk[] => chunks,
    get: (number: number): Chunk | undefined => chunks[number - 1],
  };
}

// What goes on from the turn before is not found by its own words.
const followUp =
  /^(and|or|but|what about|how about|und|oder|aber|et|ou|y|o)\b|\b(it|its|that|those|them|they|one|ones|same)\b/i;
const shortWords = 5;

/** What to search by: a question that leans on the one before is searched with it. */
export function searchTextOf(question: string, before: string | null | undefined): string {
  const words = question.trim().split(/\s+/).length;
  if (!before || words > shortWords * 2) return question;
  return words <= 2 || followUp.test(question.trim()) ? `${before}\n${question}` : question;
}
