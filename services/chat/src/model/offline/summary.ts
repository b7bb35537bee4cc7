/** Extractive summaries: sentences of the material as they are, the nearest to its topic. */
import type { Embedder } from '../../embedding/embedder.ts';
import type { ModelRequest } from '../model.ts';
import { withMarks } from './house.ts';
import { cosine } from './intents.ts';
import { unitsOf } from './passages.ts';

const sentencesMax = 24;
const wordsUsual = 100;

/** Of the chunks when there are any, with their numbers; else of what the customer said in the messages. */
export async function summaryOf(
  { messages, knowledge, signal }: ModelRequest,
  embedder: Pick<Embedder, 'embed'>,
): Promise<string> {
  const asked = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  const wordsMax = Number(
    /\bAt most (\d+) words|\bat most (\d+) words/.exec(asked)?.slice(1).find(Boolean) ?? wordsUsual,
  );
  if (knowledge.length === 0) return ofConversation(asked, wordsMax);
  const topic = /about: (.+?)\.?\n/.exec(asked)?.[1] ?? '';
  const all = knowledge
    .flatMap((chunk, index) =>
      unitsOf({ chunk, citation: index + 1 }).map((it) => ({ ...it, citation: index + 1 })),
    )
    .slice(0, sentencesMax);
  const texts = [
    topic === ''
      ? all
          .map(({ text }) => text)
          .join(' ')
          .slice(0, 600)
      : topic,
    ...all.map((it) => (it.under + it.text).slice(0, 600)),
  ];
  const [about, ...vectors] = await embedder.embed(texts, signal);
  const scored = all.map((it, order) => {
    const vector = vectors[order];
    return { ...it, order, score: about && vector ? cosine(about, vector) : 0 };
  });
  const chosen: typeof scored = [];
  let words = 0;
  for (const it of [...scored].sort((a, b) => b.score - a.score)) {
    const length = it.text.split(/\s+/).length;
    if (words + length > wordsMax) continue;
    words += length;
    chosen.push(it);
  }
  return withMarks(chosen.sort((a, b) => a.order - b.order));
}

// As the prompt of a conversation's summary marks who speaks.
const spoken = /^(?:user|customer)\s*:\s*(.+)$/gim;

function ofConversation(text: string, wordsMax: number): string {
  const said = [...text.matchAll(spoken)].map(([, line]) => (line ?? '').trim().replace(/[.!?]*$/, ''));
  const kept: string[] = [];
  let words = 0;
  // The newest say what still matters.
  for (const line of said.reverse()) {
    words += line.split(/\s+/).length;
    if (words > wordsMax) break;
    kept.unshift(line);
  }
  return kept.length === 0 ? 'Nothing of note was said.' : `The customer said: ${kept.join('; ')}.`;
}
