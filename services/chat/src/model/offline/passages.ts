/** The sentences that answer a question: taken as they are from what was retrieved, the nearest in meaning and words. */
import type { Embedder } from '../../embedding/embedder.ts';
import { cosine } from './intents.ts';
import type { Passage } from './scene.ts';
import { isAlike, topicsOf } from './words.ts';

export type Sentence = { text: string; citation: number; score: number };

export type Answering = {
  /** The best sentences, best passage first; none when nothing is near enough to be an answer. */
  sentences: Sentence[];
  /** Of the best one. */
  score: number;
};

export type Floors = {
  /** Of a passage's cosine: below it, it is about something else. */
  passage: number;
  /** Of a sentence's score. */
  sentence: number;
};

// Found by `npm run eval retrieval`: what is asked and answered scores above, what no document answers below.
export const usualFloors: Floors = { passage: 0.3, sentence: 0.5 };

const passagesMax = 4;
const sentencesMax = 24;
const shownMax = 3;

/** Throws what the embedder throws. */
export async function answering(
  question: string,
  passages: readonly Passage[],
  embedder: Pick<Embedder, 'embed'>,
  signal: AbortSignal,
  floors: Floors = usualFloors,
): Promise<Answering> {
  const near = passages.filter(({ chunk }) => chunk.score >= floors.passage).slice(0, passagesMax);
  const candidates = near.flatMap((passage, rank) =>
    sentencesOf(passage).map((it) => ({ ...it, passage, rank })),
  );
  if (candidates.length === 0) return { sentences: [], score: 0 };
  const few = candidates.slice(0, sentencesMax);
  const texts = [question.slice(0, 400), ...few.map(({ asked, text }) => `${asked}${text}`.slice(0, 600))];
  const [vector, ...vectors] = await embedder.embed(texts, signal);
  const topics = topicsOf(question);
  const scored = few.map((candidate, index) => {
    const meaning = vector && vectors[index] ? cosine(vector, vectors[index]) : 0;
    const shared = share(topics, topicsOf(`${candidate.asked} ${candidate.text}`));
    return {
      text: candidate.text,
      rank: candidate.rank,
      order: index,
      citation: candidate.passage.citation,
      score: 0.45 * meaning + 0.35 * candidate.passage.chunk.score + 0.2 * shared,
    };
  });
  return best(scored, floors.sentence);
}

type Scored = Sentence & { rank: number; order: number };

/** The best sentence and others nearly as good, those of one passage together and in its order. */
function best(scored: readonly Scored[], floor: number): Answering {
  const sorted = [...scored].sort((a, b) => b.score - a.score);
  const top = sorted[0];
  if (top === undefined || top.score < floor) return { sentences: [], score: top?.score ?? 0 };
  const chosen = sorted.filter(({ score }) => score >= Math.max(floor, top.score * 0.85)).slice(0, shownMax);
  // From the passage of the best one, its neighbour says what a lone sentence leaves out.
  const after = scored.find(({ citation, order }) => citation === top.citation && order === top.order + 1);
  if (
    chosen.length < shownMax &&
    after !== undefined &&
    !chosen.includes(after) &&
    after.score >= top.score * 0.7
  )
    chosen.push(after);
  const isOfTop = (it: Scored) => (it.citation === top.citation ? 0 : 1);
  chosen.sort((a, b) => isOfTop(a) - isOfTop(b) || a.order - b.order);
  return {
    sentences: chosen.map(({ text, citation, score }) => ({ text, citation, score })),
    score: top.score,
  };
}

/** Sentences of a passage; of a FAQ the answer's, each with the question for context. */
export function sentencesOf({ chunk }: Passage): { text: string; asked: string }[] {
  const [first = '', ...rest] = chunk.text.split('\n');
  const isAsked = chunk.kind === 'faq' && rest.length > 0;
  const body = isAsked ? rest.join('\n') : chunk.text;
  // Where it stands belongs to what it says: "Sunday" alone is no opening hour.
  const asked = isAsked ? `${first} ` : `${headingOf(chunk.header)}: `;
  return split(body).map((text) => ({ text, asked }));
}

function headingOf(header: string): string {
  return header
    .split(/ [·›] /)
    .slice(1)
    .join(', ');
}

/** Sentences and list items; abbreviations and numbers with a point end none. */
export function split(text: string): string[] {
  const lines = text.split(/\n+/).map((line) => line.replace(/^\s*(?:[-*•]|\d{1,2}[.)])\s+/, '').trim());
  return lines
    .flatMap((line) => line.split(/(?<=[.!?…]["”')\]]?)\s+(?=[\p{Lu}\p{N}"“'(])/u))
    .map((sentence) => sentence.replace(/\*\*|__|`/g, '').trim())
    .filter((sentence) => /\p{L}{2}/u.test(sentence));
}

/** Which part of the question's topics a text speaks of. */
function share(topics: readonly string[], spoken: readonly string[]): number {
  if (topics.length === 0) return 0;
  return topics.filter((topic) => spoken.some((other) => isAlike(topic, other))).length / topics.length;
}
