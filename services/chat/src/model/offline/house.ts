/** Answers from documents, and those that need none. */

import { z } from 'zod';
import { englishOf } from './glossary.ts';
import type { Answering } from './passages.ts';
import { calledTool, errorOf, type Passage, recordOf, type Scene } from './scene.ts';
import { call, inWords, type Step, say } from './step.ts';
import { cite } from './wording.ts';
import { wordsOf } from './words.ts';

export type Means = {
  answering(question: string, passages: readonly Passage[]): Promise<Answering>;
};

/**
 * The best sentences of documents; undefined when none is near enough.
 *
 * @param floor what the best one has to score, where more is asked than that it is no nonsense
 */
export async function houseStep(
  scene: Scene,
  subject: string,
  { answering: find }: Means,
  floor = 0,
): Promise<Step | undefined> {
  const gloss = scene.language === 'de' ? englishOf(subject) : '';
  if (gloss !== '' && scene.tools.has('search_knowledge_base')) {
    const isSearched = calledTool(scene, 'search_knowledge_base').length > 0;
    if (!isSearched)
      return call(['search_knowledge_base', { query: gloss, kinds: ['policy', 'faq', 'note'] }]);
  }
  const byScore = gloss === '' ? [...scene.passages] : searched(scene);
  byScore.sort((a, b) => b.chunk.score - a.chunk.score);
  const sentences: Answering['sentences'] = [];
  for (const part of gloss === '' ? partsOf(subject) : [gloss]) {
    const found = await find(part, byScore);
    if (found.score < floor) continue;
    const isSaid = (text: string) => sentences.some((known) => known.text === text);
    sentences.push(...found.sentences.filter(({ text }) => !isSaid(text)));
  }
  if (sentences.length === 0) return undefined;
  return say(`${gloss === '' ? '' : 'In den Unterlagen steht: '}${withMarks(sentences)}`);
}

const scores = z.object({ results: z.array(z.object({ citation: z.number(), score: z.number() })) });

/** What was found by other words than the question's is measured by those. */
function searched(scene: Scene): Passage[] {
  return calledTool(scene, 'search_knowledge_base').flatMap(({ result }) => {
    const parsed = scores.safeParse(result);
    if (!parsed.success) return [];
    return parsed.data.results.flatMap(({ citation, score }) => {
      const passage = scene.passages.find((it) => it.citation === citation);
      return passage === undefined ? [] : [{ citation, chunk: { ...passage.chunk, score } }];
    });
  });
}

const secondQuestion =
  /[?.!]\s+(?=\p{L})|,?\s+\b(?:and|und)\s+(?=(?:how|what|when|where|which|who|can|do|does|is|are|wie|was|wann|wo|kann)\b)/iu;

/** "What does delivery cost and how long does it take?" asks two things; what the second leaves out, the first has said. */
export function partsOf(question: string): string[] {
  const [first = question, second, ...others] = question
    .split(secondQuestion)
    .filter((part) => part.trim() !== '');
  if (second === undefined || others.length > 0 || wordsOf(first).length < 3) return [question];
  return /\b(?:it|they|that|this|es)\b/i.test(second)
    ? [first, `${second} (${first})`]
    : [question, first, second];
}

/** A run of sentences of one source carries its mark once, at its end. */
export function withMarks(sentences: Answering['sentences']): string {
  return sentences
    .map(({ text, citation }, at) => {
      const isLastOfRun = sentences[at + 1]?.citation !== citation;
      return isLastOfRun ? marked(text, citation) : text;
    })
    .join(' ');
}

function marked(text: string, citation: number): string {
  const end = /[.!?…]$/.exec(text)?.[0] ?? '.';
  return `${text.replace(/[.!?…]$/, '')}${cite(citation)}${end}`;
}

export function summaryStep(scene: Scene, about: 'conversation' | 'documents'): Step {
  const { language } = scene;
  const done = calledTool(scene, 'generate_summary').at(-1);
  if (done === undefined) {
    if (!scene.tools.has('generate_summary')) {
      return say(
        inWords(language, 'Summaries are switched off here.', 'Zusammenfassungen sind hier abgeschaltet.'),
      );
    }
    const query = topicOf(scene.question);
    return call(['generate_summary', { about, ...(about === 'documents' ? { query } : {}) }]);
  }
  const summary = recordOf(done.result).summary;
  if (typeof summary === 'string' && summary !== '') return say(summary);
  const nothing = errorOf(done.result)?.code === 'nothing_to_summarise';
  return say(
    nothing
      ? inWords(language, 'There is nothing to summarise yet.', 'Es gibt noch nichts zusammenzufassen.')
      : inWords(
          language,
          'That could not be summarised just now.',
          'Das ließ sich gerade nicht zusammenfassen.',
        ),
  );
}

/** "Give me a summary of your delivery rules" is about delivery rules. */
function topicOf(question: string): string {
  const bare = question
    .replace(/^.*?\b(?:summar\w*|sum up|zusammenfass\w*|fass\w*)\b/i, '')
    .replace(/^\s*(?:of|for|about|von|über)?\s*(?:me\s+)?(?:your|the|our|all|eure|die|das|den)?\s*/i, '')
    .replace(
      /\b(?:in (?:a )?(?:few|two|three|short) (?:words|sentences)|briefly|shortly|please|zusammen|kurz|bitte)\b/gi,
      '',
    )
    .replace(/[?.!]+$/, '')
    .trim();
  return bare === '' ? question.slice(0, 1_000) : bare.slice(0, 1_000);
}

export function analysisStep(scene: Scene): Step {
  const { language } = scene;
  const done = calledTool(scene, 'analyze_conversation').at(-1);
  if (done === undefined && scene.tools.has('analyze_conversation'))
    return call(['analyze_conversation', {}]);
  const { sentiment, intent, urgency, language: spoken } = recordOf(done?.result);
  const label = recordOf(sentiment).label;
  if (typeof label !== 'string') {
    return say(
      inWords(language, 'That could not be analysed just now.', 'Das ließ sich gerade nicht auswerten.'),
    );
  }
  return say(
    inWords(
      language,
      `Mood: ${label}. Intent: ${intent}. Urgency: ${urgency}. Language: ${spoken}.`,
      `Stimmung: ${label}. Anliegen: ${intent}. Dringlichkeit: ${urgency}. Sprache: ${spoken}.`,
    ),
  );
}
