/** The sentences that answer a question: taken as they are from what was retrieved, the nearest in meaning and words. */
import type { Embedder } from '../../embedding/embedder.ts';
import { cosine } from './intents.ts';
import type { Passage } from './scene.ts';
import { isAlike, stem, topicsOf, wordsOf } from './words.ts';

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
  /** Of a sentence's score where its passage speaks of everything in particular that the question does. */
  spoken: number;
  /** Where it speaks of something like it. */
  like: number;
  /** Where the question has a word that nothing in the passage is like: "Can I *smoke* on the terrace?" */
  foreign: number;
};

// Found by `ragline eval retrieval`: what is asked and answered scores above, what no document answers below.
const usualFloors: Floors = { passage: 0.28, spoken: 0.365, like: 0.378, foreign: 0.455 };
// Of two words' vectors: from it on the one may stand for the other.
const likeWord = 0.5;

const passagesMax = 4;
const unitsMax = 24;
const shownMax = 3;
const answerLettersMax = 400;
const sectionLettersMax = 260;
const lettersMax = 600;

/** What can be said by itself: a sentence, or a short answer to a question as a whole. */
type Unit = {
  text: string;
  /** What stands above it and belongs to what it says: "Sunday" alone is no opening hour. */
  under: string;
  /** Of a FAQ, the question alone: asked in other words, it is nearest to that. */
  asked: string | undefined;
};

/** Throws what the embedder throws. */
export async function answering(
  question: string,
  passages: readonly Passage[],
  embedder: Pick<Embedder, 'embed'>,
  signal: AbortSignal,
  floors: Floors = usualFloors,
): Promise<Answering> {
  const near = passages.filter(({ chunk }) => chunk.score >= floors.passage).slice(0, passagesMax);
  const units = near
    .flatMap((passage) => unitsOf(passage).map((unit) => ({ unit, passage })))
    .slice(0, unitsMax);
  if (units.length === 0) return { sentences: [], score: 0 };
  const asked = [...new Set(units.flatMap(({ unit }) => unit.asked ?? []))];
  const texts = [question, ...units.map(({ unit }) => `${unit.under}${unit.text}`), ...asked];
  const [vector = new Float32Array(), ...vectors] = await embedder.embed(
    texts.map((text) => text.slice(0, lettersMax)),
    signal,
  );
  const likeness = (at: number) => cosine(vector, vectors[at] ?? new Float32Array());
  const topics = topicsOf(question);
  const scored = units.map(({ unit, passage }, order) => {
    const meaning = Math.max(
      likeness(order),
      unit.asked === undefined ? 0 : likeness(units.length + asked.indexOf(unit.asked)),
    );
    const about = `${passage.chunk.header} ${unit.under} ${unit.text}`;
    const shared = share(topics, topicsOf(about));
    const score = 0.6 * meaning + 0.35 * passage.chunk.score + 0.05 * shared;
    return { text: unit.text, citation: passage.citation, order, score, about };
  });
  const floor = await floorFor(question, scored, floors, (words) => embedder.embed(words, signal));
  return best(scored, floor);
}

type Scored = Sentence & { order: number; about: string };

/** How good the best sentence has to be, by whether it is about what the question is about. */
async function floorFor(
  question: string,
  scored: readonly Scored[],
  { spoken, like, foreign }: Floors,
  embed: (words: string[]) => Promise<readonly Float32Array[]>,
): Promise<number> {
  const top = scored.reduce<Scored | undefined>(
    (a, b) => (a === undefined || b.score > a.score ? b : a),
    undefined,
  );
  if (top === undefined || top.score < spoken || top.score >= foreign) return spoken;
  const own = topicsOf(top.about);
  const particular = particularOf(question);
  const missing = particular.filter((word) => !own.some((topic) => isAlike(topic, stem(word))));
  if (missing.length === 0) return particular.length === 0 ? like : spoken;
  if (top.score < like) return like;
  const said = [...new Set(particularOf(top.about))];
  const vectors = await embed([...missing, ...said]);
  const others = vectors.slice(missing.length);
  const isLike = (at: number) => {
    const vector = vectors[at];
    return vector !== undefined && others.some((other) => cosine(vector, other) >= likeWord);
  };
  return missing.every((_, at) => isLike(at)) ? like : foreign;
}

/** The words that say what in particular a text is about; what any question has is none of them. */
function particularOf(text: string): string[] {
  return wordsOf(text).filter(
    (word) => /^\p{L}{3}/u.test(word) && topicsOf(word).some((it) => !common.has(it)),
  );
}

// Verbs and words of a meal, of which every question and no question in particular speaks.
const common = new Set(
  topicsOf(
    'need want wish like get got take bring come came go going use used make made give let tell know say said happen happens find ' +
      'offer offered have must should may might still already more less most other own one two after before during back away ' +
      'off out something anything nothing everything someone nobody really possible problem think question help mean ' +
      'food meal dish eat order ordered restaurant shop place house people time today tonight now live ' +
      'euro euros cent three four five six seven eight nine ten twenty thirty hundred',
  ),
);

/** The best one and others nearly as good, those of one passage together and in its order. */
function best(scored: readonly Scored[], floor: number): Answering {
  const sorted = [...scored].sort((a, b) => b.score - a.score);
  const top = sorted[0];
  if (top === undefined || top.score < floor) return { sentences: [], score: top?.score ?? 0 };
  const chosen = sorted.filter((it) => it === top || isBeside(it, top, floor)).slice(0, shownMax);
  // From the passage of the best one, its neighbour says what a lone sentence leaves out.
  const after = scored.find(({ citation, order }) => citation === top.citation && order === top.order + 1);
  if (chosen.length < shownMax && after !== undefined && !chosen.includes(after)) chosen.push(after);
  const isOfTop = (it: Scored) => (it.citation === top.citation ? 0 : 1);
  chosen.sort((a, b) => isOfTop(a) - isOfTop(b) || a.order - b.order);
  return {
    sentences: chosen.map(({ text, citation, score }) => ({ text, citation, score })),
    score: top.score,
  };
}

/** Of the same passage a sentence may be a little off the point; of another it has to be as good. */
function isBeside(it: Scored, top: Scored, floor: number): boolean {
  if (it.citation === top.citation) return it.score >= Math.max(floor, top.score * 0.85);
  // An answer to another question: its yes would be taken for the answer to this one.
  return it.score >= Math.max(floor, top.score * 0.96) && !/^(?:yes|no|ja|nein)\b/i.test(it.text);
}

/** What is short is said as a whole; of a FAQ it is the answer, under its question. */
export function unitsOf({ chunk }: Passage): Unit[] {
  const [first = '', ...rest] = chunk.text.split('\n');
  if (chunk.kind === 'faq' && rest.length > 0) {
    const answer = rest.join('\n');
    const texts = answer.length <= answerLettersMax ? [split(answer).join(' ')] : split(answer);
    return texts.map((text) => ({ text, under: `${first} `, asked: first }));
  }
  const under = `${headingOf(chunk.header)}: `;
  const sentences = split(chunk.text).filter((text) => text !== chunk.title);
  const isShort = chunk.text.length <= sectionLettersMax && sentences.length > 0;
  return (isShort ? [sentences.join(' ')] : sentences).map((text) => ({ text, under, asked: undefined }));
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
