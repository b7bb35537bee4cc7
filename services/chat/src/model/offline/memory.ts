/** Vectors of passages that were asked about before: the same few answer most questions. */
import type { Embedder } from '../../embedding/embedder.ts';

const keptMax = 2_000;

/** Kept for one tenant each: how long an answer takes must not tell what others have written down. */
export function rememberingEmbedder(embedder: Pick<Embedder, 'embed'>) {
  const kept = new Map<string, Float32Array>();

  return (tenantId: string): Pick<Embedder, 'embed'> => ({
    async embed(texts, signal) {
      const keyOf = (text: string) => `${tenantId} ${text}`;
      const unknown = [...new Set(texts.filter((text) => !kept.has(keyOf(text))))];
      const made = unknown.length === 0 ? [] : await embedder.embed(unknown, signal);
      const fresh = new Map(unknown.map((text, at) => [text, made[at] ?? new Float32Array()]));
      const vectors = texts.map((text) => fresh.get(text) ?? kept.get(keyOf(text)) ?? new Float32Array());
      for (const [text, vector] of fresh) {
        const [oldest] = kept.keys();
        if (kept.size >= keptMax && oldest !== undefined) kept.delete(oldest);
        kept.set(keyOf(text), vector);
      }
      return vectors;
    },
  });
}
