/** Summaries by the model; where that fails, by the first sentences of what there is to summarise. */
import { ModelError } from '../model/model.ts';
import type { Chunk } from '../retrieval/retrieve.ts';
import { languageOf } from './text-signs.ts';
import type { Said, ToolContext } from './tool.ts';

export type Material =
  | { kind: 'conversation'; said: readonly Said[]; maxWords: number }
  /** `numbers` are the citations of the chunks, in their order. */
  | { kind: 'documents'; topic: string; chunks: Chunk[]; numbers: number[]; maxWords: number };

const tokensPerWord = 3;
const textMax = 24_000;
const summaryMax = 6_000;

/** Bounded in words and characters; markers such as [3] are citations, and no others than the material's. */
export async function summarise(context: ToolContext, material: Material): Promise<string> {
  try {
    const text = bounded(await byModel(context, material), material.maxWords);
    if (text !== '') return text;
  } catch (error) {
    // Without a model there is still something to say; whatever else went wrong is the caller's to hear.
    if (!(error instanceof ModelError)) throw error;
  }
  return bounded(bySentences(material), material.maxWords);
}

async function byModel(context: ToolContext, material: Material): Promise<string> {
  const { parts, signal, tenant_id, user_id, conversation_id, turn_id } = context;
  const isDocuments = material.kind === 'documents';
  const prompt = parts.prompts.prompt(isDocuments ? 'summarise-documents' : 'conversation-summary');
  const max_words = String(material.maxWords);
  const content = isDocuments
    ? prompt.render({
        max_words,
        topic: material.topic,
        language: await languageOf(material.topic),
        sources: material.chunks.map((chunk, at) => `[${at + 1}] ${chunk.title}\n${chunk.text}`).join('\n\n'),
      })
    : prompt.render({ max_words, conversation: spoken(material.said) });
  let text = '';
  const events = parts.model.stream({
    purpose: 'summary',
    prompt: { name: prompt.name, hash: prompt.hash },
    messages: [{ role: 'user', content }],
    tools: [],
    knowledge: isDocuments ? material.chunks : [],
    maxOutputTokens: material.maxWords * tokensPerWord,
    signal,
    who: { tenant_id, user_id, conversation_id, turn_id },
  });
  for await (const event of events) {
    if (event.kind === 'text') text += event.text;
    if (event.kind === 'end') context.spent?.(event.usage);
    if (text.length > summaryMax * 2) break;
  }
  return isDocuments ? renumbered(text, material.numbers) : text;
}

/** The model counts its sources from 1, the answer goes on from what the turn has cited; what was never there goes. */
export function renumbered(text: string, numbers: readonly number[]): string {
  return text.replace(/\s?\[(\d+)\]/g, (marker, written: string) => {
    const number = numbers[Number(written) - 1];
    return number === undefined ? '' : marker.replace(written, String(number));
  });
}

/** Until the words are used up: of documents the first sentence of each, then the second, and so on. */
export function bySentences(material: Material): string {
  if (material.kind === 'conversation') {
    const asked = material.said.filter(({ role }) => role === 'user').map(({ content }) => oneLine(content));
    return asked.length === 0 ? 'Nothing was asked.' : `The customer said: ${asked.join(' / ')}`;
  }
  const sentences = material.chunks.map(({ text }) => sentencesOf(text));
  const longest = Math.max(0, ...sentences.map(({ length }) => length));
  const parts: string[] = [];
  for (let place = 0; place < longest; place++) {
    for (const [at, own] of sentences.entries()) {
      const sentence = own[place];
      if (sentence !== undefined) parts.push(`${sentence} [${material.numbers[at]}]`);
    }
  }
  return parts.join(' ');
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

function sentencesOf(text: string): string[] {
  return [...segmenter.segment(oneLine(text))].map(({ segment }) => segment.trim()).filter((it) => it !== '');
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

function spoken(said: readonly Said[]): string {
  return said
    .map(({ role, content }) => `${role}: ${content}`)
    .join('\n')
    .slice(-textMax);
}

/** Whole sentences as long as the words last; of a single longer one its beginning. */
export function bounded(text: string, maxWords: number): string {
  const wordsOf = (it: string) =>
    it.split(/\s+/).filter((word) => word !== '' && !/^\[\d+\]$/.test(word)).length;
  const kept: string[] = [];
  let words = 0;
  for (const { segment } of segmenter.segment(text.trim())) {
    // Markers after a full stop belong to the sentence before, and are no words.
    const [markers = ''] = /^(\s*\[\d+\])*\s*/.exec(segment) ?? [];
    kept.push(markers);
    const sentence = segment.slice(markers.length);
    words += wordsOf(sentence);
    if (words > maxWords && kept.length > 1) break;
    kept.push(sentence);
  }
  const whole = kept.join('').trim();
  const cut = wordsOf(whole) > maxWords ? `${whole.split(/\s+/).slice(0, maxWords).join(' ')}…` : whole;
  return cut.slice(0, summaryMax);
}
