/** For tests: an embedder without a model. Texts with common words are near each other, and nothing else is. */
import { createHash } from 'node:crypto';
import { type Embedder, type EmbeddingModel, TextTooLongError } from './embedder.ts';

export type WordEmbedder = Embedder & {
  /** How many texts it was asked for. */
  asked(): number;
};

const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** Each word is a direction of its own, by its hash; a text is the sum of its words. */
export function createWordEmbedder(changes: Partial<EmbeddingModel> = {}): WordEmbedder {
  const model: EmbeddingModel = { id: 'words', version: '1', dimensions: 64, maxTokens: 256, ...changes };
  let asked = 0;
  const countTokens = (text: string) => wordsOf(text).length + 2;
  return {
    model,
    countTokens,
    asked: () => asked,
    async embed(texts, signal) {
      signal?.throwIfAborted();
      asked += texts.length;
      return texts.map((text) => {
        if (countTokens(text) > model.maxTokens) throw new TextTooLongError(countTokens(text), model);
        return sumOf(wordsOf(text), model);
      });
    },
    stop: async () => {},
  };
}

function sumOf(words: readonly string[], { id, dimensions }: EmbeddingModel): Float32Array {
  const sum = new Float32Array(dimensions);
  for (const word of words.length === 0 ? [''] : words) {
    const hash = createHash('shake256', { outputLength: dimensions }).update(`${id} ${word}`).digest();
    for (const [at, byte] of hash.entries()) sum[at] = (sum[at] ?? 0) + byte - 127.5;
  }
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}
