/** Queries that fit into a model: a chunk is never cut, but a customer may write as much as he likes. */
import type { Embedder } from '../embedding/embedder.ts';

/** At most: a syllable of Hangul is three letters to one tokenizer, a rare ideograph three bytes to another. */
const tokensPerLetter = 3;

/** The query, or as many of its first words as the model reads. */
export function fitted(query: string, embedder: Pick<Embedder, 'model' | 'countTokens'>): string {
  const { maxTokens } = embedder.model;
  if (query.length * tokensPerLetter + 2 <= maxTokens || embedder.countTokens(query) <= maxTokens)
    return query;
  // No token of a natural text is longer than that; a text of a megabyte is not counted whole, again and again.
  const words = query.slice(0, maxTokens * 40).split(' ');
  let [fits, tooMany] = [0, words.length + 1];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (embedder.countTokens(words.slice(0, middle).join(' ')) <= maxTokens) fits = middle;
    else tooMany = middle;
  }
  // One word that is too long by itself: so many characters have no more tokens.
  return fits > 0 ? words.slice(0, fits).join(' ') : query.slice(0, (maxTokens - 2) / tokensPerLetter);
}
