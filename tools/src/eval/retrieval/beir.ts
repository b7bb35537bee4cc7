/** Data sets in BEIR's format: corpus.jsonl, queries.jsonl and qrels/test.tsv in a folder. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Embedder } from '../../../../services/chat/src/embedding/embedder.ts';
import { type Judgements, mean, ndcgAt, recallAt, reciprocalRankAt } from './measures.ts';

const passage = z.object({ _id: z.string(), title: z.string().default(''), text: z.string() });
const query = z.object({ _id: z.string(), text: z.string() });

export type BeirSet = {
  passages: { id: string; text: string }[];
  queries: { id: string; text: string; judgements: Judgements }[];
};

const rankingLength = 100;
const embeddedAtOnce = 64;

/**
 * Reads a folder; queries without a judgement are left out.
 * Throws what reading throws, and ZodError for a line that is not as the format has it.
 *
 * @param split which of the qrels
 */
export async function readBeir(folder: string, split = 'test'): Promise<BeirSet> {
  const judged = new Map<string, Map<string, number>>();
  for await (const line of linesOf(join(folder, 'qrels', `${split}.tsv`))) {
    const [queryId = '', passageId = '', score = ''] = line.split('\t');
    // The first line names the columns.
    if (!/^\d+$/.test(score) || Number(score) === 0) continue;
    const known = judged.get(queryId) ?? new Map<string, number>();
    judged.set(queryId, known.set(passageId, Number(score)));
  }
  const passages: BeirSet['passages'] = [];
  for await (const line of linesOf(join(folder, 'corpus.jsonl'))) {
    const { _id: id, title, text } = passage.parse(JSON.parse(line));
    passages.push({ id, text: title === '' ? text : `${title}\n${text}` });
  }
  const queries: BeirSet['queries'] = [];
  for await (const line of linesOf(join(folder, 'queries.jsonl'))) {
    const { _id: id, text } = query.parse(JSON.parse(line));
    const judgements = judged.get(id);
    if (judgements !== undefined) queries.push({ id, text, judgements });
  }
  return { passages, queries };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    if (line.trim() !== '') yield line;
  }
}

/** Ranks by the cosine of the embeddings alone, exactly: the model is judged, not the index. Throws what the embedder throws. */
export async function judgeBeir(
  { passages, queries }: BeirSet,
  embedder: Pick<Embedder, 'embed' | 'countTokens' | 'model'>,
  tell: (done: number) => void = () => {},
) {
  const vectors: Float32Array[] = [];
  for (let at = 0; at < passages.length; at += embeddedAtOnce) {
    const texts = passages.slice(at, at + embeddedAtOnce).map(({ text }) => fitted(text, embedder));
    vectors.push(...(await embedder.embed(texts)));
    tell(vectors.length);
  }
  const rankings: { ranking: string[]; judgements: Judgements }[] = [];
  for (const { text, judgements } of queries) {
    const [vector] = await embedder.embed([fitted(text, embedder)]);
    if (vector !== undefined) rankings.push({ ranking: nearest(vector, vectors, passages), judgements });
  }
  const over = (measure: (ranking: string[], judgements: Judgements) => number) =>
    mean(rankings.map(({ ranking, judgements }) => measure(ranking, judgements)));
  return {
    passages: passages.length,
    queries: queries.length,
    recall_at_10: over((ranking, judgements) => recallAt(10, ranking, judgements)),
    recall_at_100: over((ranking, judgements) => recallAt(100, ranking, judgements)),
    mrr_at_10: over((ranking, judgements) => reciprocalRankAt(10, ranking, judgements)),
    ndcg_at_10: over((ranking, judgements) => ndcgAt(10, ranking, judgements)),
  };
}

function nearest(
  vector: Float32Array,
  vectors: readonly Float32Array[],
  passages: BeirSet['passages'],
): string[] {
  const scored = vectors.map((other, at) => ({ id: passages[at]?.id ?? '', score: dot(vector, other) }));
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, rankingLength)
    .map(({ id }) => id);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

/** As published figures do: the beginning of a text that the model cannot read whole. */
function fitted(text: string, { countTokens, model }: Pick<Embedder, 'countTokens' | 'model'>): string {
  let fit = text.slice(0, model.maxTokens * 8);
  while (countTokens(fit) > model.maxTokens) fit = fit.slice(0, Math.floor(fit.length * 0.9));
  return fit;
}
