/**
 * What a model is shown: never more than it takes together with its answer, and what is left out is told.
 *
 * The budget, from `tokensMax` or what the model takes, whichever is less: first the answer's room; then what is never
 * cut: system prompt, tools, question, calls of tools and their last result. Then knowledge and past turns up to budgets of their
 * own. If that is still too much, these go, in this order: past turns but the last, oldest first; sources but the best
 * three, worst first; results of earlier rounds of tools, oldest first; the summary; the last turn; the other sources;
 * results of the last round but the last.
 */
import { type ChatMessage, ModelError } from '../model/model.ts';
import type { Chunk } from '../retrieval/chunk.ts';
import { nothingFound, renderChunk } from './knowledge.ts';
import type { PastTurn } from './store.ts';

export type WindowLimits = {
  /** What the model takes, question and answer together. */
  modelTokens: number;
  tokensMax: number;
  answerTokens: number;
  knowledgeTokens: number;
  historyTokens: number;
};

export type WindowParts = {
  /** The system prompt around the knowledge. */
  system: (knowledge: string) => string;
  /** What the tools' descriptions cost. */
  toolTokens: number;
  summary: string | null;
  /** The best first; each is shown under its number. */
  chunks: readonly { number: number; chunk: Chunk }[];
  /** Oldest first. */
  turns: readonly PastTurn[];
  question: string;
  /** Each: what the model said when it called, and the results. */
  rounds: readonly (readonly ChatMessage[])[];
};

/** What was shown, in tokens, and what was left out; kept as message.context. */
export type WindowNote = {
  limit: number;
  tokens: Record<'system' | 'tools' | 'summary' | 'knowledge' | 'turns' | 'question' | 'rounds', number>;
  cut: { turns: number; sources: string[]; tool_results: number; summary: boolean };
};

export type Window = { messages: ChatMessage[]; note: WindowNote };

// A message costs a little more than its text, and the answer's beginning too.
const perMessage = 4;
const frame = 8;
const sourcesKept = 3;
export const cutResult =
  '{"cut":"This result was left out to save room. Call the tool again if you need it."}';

/** Throws ModelError `context_too_long` when what is never cut is too much already. */
export function fitWindow(
  parts: WindowParts,
  limits: WindowLimits,
  countTokens: (text: string) => number,
): Window {
  const count = cached(countTokens);
  const limit = Math.min(limits.modelTokens, limits.tokensMax) - limits.answerTokens;
  const turns = newestWithin(parts.turns, limits.historyTokens, (turn) => turnTokens(turn, count));
  const chunks = bestWithin(parts.chunks, limits.knowledgeTokens, (it) => count(shown(it)));
  const rounds = parts.rounds.map((round) => [...round]);
  let summary = parts.summary;
  let resultsCut = 0;

  const tokens = () => ({
    system: count(parts.system(chunks.length === 0 ? nothingFound : '')) + perMessage,
    tools: parts.toolTokens,
    summary: summary === null ? 0 : count(summaryText(summary)),
    knowledge: chunks.reduce((sum, it) => sum + count(shown(it)) + 1, 0),
    turns: turns.reduce((sum, turn) => sum + turnTokens(turn, count), 0),
    question: count(parts.question) + perMessage,
    rounds: rounds.flat().reduce((sum, message) => sum + messageTokens(message, count), 0),
  });
  const total = () => Object.values(tokens()).reduce((sum, each) => sum + each, frame);

  function cutOldestResult(among: readonly ChatMessage[][], keep: ChatMessage | undefined): boolean {
    for (const round of among) {
      const at = round.findIndex((it) => it.role === 'tool' && it.content !== cutResult && it !== keep);
      const message = round[at];
      if (message === undefined) continue;
      round[at] = { ...message, content: cutResult };
      resultsCut += 1;
      return true;
    }
    return false;
  }

  const steps: (() => boolean)[] = [
    () => turns.length > 1 && turns.shift() !== undefined,
    () => chunks.length > sourcesKept && chunks.pop() !== undefined,
    () => cutOldestResult(rounds.slice(0, -1), undefined),
    () => {
      const had = summary !== null;
      summary = null;
      return had;
    },
    () => turns.shift() !== undefined,
    () => chunks.pop() !== undefined,
    () => cutOldestResult(rounds, rounds.at(-1)?.at(-1)),
  ];
  while (total() > limit) {
    if (!steps.some((cut) => cut())) {
      throw new ModelError('context_too_long', `The question alone needs ${total()} of ${limit} tokens`);
    }
  }

  const kept = new Set(chunks.map(({ number }) => number));
  return {
    messages: [
      { role: 'system', content: systemText(parts.system, chunks, summary) },
      ...turns.flatMap(turnMessages),
      { role: 'user', content: parts.question },
      ...rounds.flat(),
    ],
    note: {
      limit,
      tokens: tokens(),
      cut: {
        turns: parts.turns.length - turns.length,
        sources: parts.chunks.filter(({ number }) => !kept.has(number)).map(({ chunk }) => chunk.id),
        tool_results: resultsCut,
        summary: parts.summary !== null && summary === null,
      },
    },
  };
}

const shown = ({ chunk, number }: { chunk: Chunk; number: number }) => renderChunk(chunk, number);

const summaryText = (summary: string) => `\n\nEarlier in this conversation:\n${summary}`;

function systemText(
  system: WindowParts['system'],
  chunks: readonly { number: number; chunk: Chunk }[],
  summary: string | null,
): string {
  const knowledge = chunks.length === 0 ? nothingFound : chunks.map(shown).join('\n\n');
  return `${system(knowledge)}${summary === null ? '' : summaryText(summary)}`;
}

/** Question and answer by turns; what has no question goes on from the answer before. */
function turnMessages({ question, answer }: PastTurn): ChatMessage[] {
  return [
    { role: 'user', content: question ?? '(The customer decided on the quote.)' },
    { role: 'assistant', content: answer },
  ];
}

function turnTokens(turn: PastTurn, count: (text: string) => number): number {
  return turnMessages(turn).reduce((sum, message) => sum + messageTokens(message, count), 0);
}

function messageTokens({ content, tool_calls }: ChatMessage, count: (text: string) => number): number {
  return perMessage + count(content) + (tool_calls === undefined ? 0 : count(JSON.stringify(tool_calls)));
}

function newestWithin<T>(all: readonly T[], budget: number, cost: (item: T) => number): T[] {
  const kept: T[] = [];
  let left = budget;
  for (const item of all.toReversed()) {
    left -= cost(item);
    if (left < 0) break;
    kept.unshift(item);
  }
  return kept;
}

/** As many as fit, the best first; one that is too long does not keep out what comes after it. */
function bestWithin<T>(all: readonly T[], budget: number, cost: (item: T) => number): T[] {
  let left = budget;
  return all.filter((item) => {
    const needs = cost(item);
    if (needs > left) return false;
    left -= needs;
    return true;
  });
}

function cached(count: (text: string) => number): (text: string) => number {
  const known = new Map<string, number>();
  return (text) => {
    const counted = known.get(text) ?? count(text);
    known.set(text, counted);
    return counted;
  };
}
