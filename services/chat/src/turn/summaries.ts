/**
 * Summaries of what lies far back in a conversation, made after an answer, when its reader has gone on reading: so that
 * long conversations fit the window. The model writes them; offline they are the beginnings of what was said.
 */
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Turn } from '../domain.ts';
import type { Model } from '../model/model.ts';
import type { Prompt } from '../model/prompts.ts';
import { type PastTurn, readTurns } from './store.ts';

export type SummaryParts = {
  pool: Pool;
  model: Model;
  /** `conversation-summary`, with the places max_words and conversation. */
  prompt: Prompt;
  log: Logger;
};

// Past these, all but the newest are summarised: several at once, so that most turns cost no call.
const turnsMax = 10;
const turnsKept = 4;
const wordsMax = 200;
const summaryTokens = 400;
const atOnce = 2;
const withinMs = 30_000;
const lettersShown = 2_000;

export function startSummaries(parts: SummaryParts) {
  const stopping = new AbortController();
  const busy = new Map<string, Promise<unknown>>();

  return {
    /** Looks whether the turn's conversation has grown long; at most two conversations at a time, the others later. */
    consider(turn: Turn): void {
      const { conversation_id } = turn;
      if (stopping.signal.aborted || busy.size >= atOnce || busy.has(conversation_id)) return;
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(withinMs)]);
      const work = summarise(parts, turn, signal)
        .catch((error: unknown) => {
          // The window does without; the next answer tries again.
          if (!stopping.signal.aborted)
            parts.log.warn('a conversation was not summarised', { conversation_id, error });
        })
        .finally(() => busy.delete(conversation_id));
      busy.set(conversation_id, work);
    },
    async stop() {
      stopping.abort();
      await Promise.all(busy.values());
    },
  };
}

/** Summarises all but the newest turns when there are many; says whether it did. */
export async function summarise(parts: SummaryParts, turn: Turn, signal: AbortSignal): Promise<boolean> {
  const { pool } = parts;
  const before = await inTenant(pool, turn.tenant_id, (client) => readSummary(client, turn));
  const old = oldTurns(before.turns);
  const last = old.at(-1);
  if (last === undefined) return false;
  const summary = parts.model.isOffline
    ? extracted(before.summary, old)
    : await written(parts, turn, before.summary, old, signal);
  if (summary === '') return false;
  return inTenant(pool, turn.tenant_id, async (client) => {
    // Another instance may have been here in the meantime.
    const { rowCount } = await client.query({
      name: 'chat_keep_summary',
      text: `UPDATE chat.conversation SET summary = $3, summary_upto = $4
              WHERE tenant_id = $1 AND id = $2 AND summary_upto = $5`,
      values: [turn.tenant_id, turn.conversation_id, summary, last.position, before.summary_upto],
    });
    return rowCount === 1;
  });
}

/** What goes into the summary now: nothing while there are few, then all but the newest. */
export function oldTurns(turns: readonly PastTurn[]): PastTurn[] {
  return turns.length <= turnsMax ? [] : turns.slice(0, -turnsKept);
}

/** Without a model: what was asked, and how each answer began; the newest when it is too much. */
export function extracted(summary: string | null, turns: readonly PastTurn[]): string {
  const lines = turns.map(({ question, answer }) => {
    const said = bounded(firstSentence(answer), 30);
    return question === null ? said : `Asked: ${bounded(question, 20)} – ${said}`;
  });
  const all = [...(summary?.split('\n') ?? []), ...lines];
  const kept: string[] = [];
  let words = 0;
  for (const line of all.toReversed()) {
    words += wordsOf(line).length;
    if (words > wordsMax) break;
    kept.unshift(line);
  }
  return kept.join('\n');
}

async function written(
  { model, prompt }: SummaryParts,
  { tenant_id, user_id, conversation_id, id: turn_id }: Turn,
  summary: string | null,
  turns: readonly PastTurn[],
  signal: AbortSignal,
): Promise<string> {
  const said = turns.flatMap(({ question, answer }) => [
    ...(question === null ? [] : [`Customer: ${question.slice(0, lettersShown)}`]),
    `Assistant: ${answer.slice(0, lettersShown)}`,
  ]);
  const conversation = [...(summary === null ? [] : [`Before: ${summary}`]), ...said].join('\n');
  const content = prompt.render({ max_words: String(wordsMax), conversation });
  let text = '';
  const events = model.stream({
    purpose: 'summary',
    prompt: { name: prompt.name, hash: prompt.hash },
    messages: [{ role: 'user', content }],
    tools: [],
    knowledge: [],
    maxOutputTokens: summaryTokens,
    signal,
    who: { tenant_id, user_id, conversation_id, turn_id },
  });
  for await (const event of events) if (event.kind === 'text') text += event.text;
  return bounded(text.trim(), 2 * wordsMax);
}

async function readSummary(client: Client, turn: Turn) {
  const { rows } = await client.query<{ summary: string | null; summary_upto: number }>({
    name: 'chat_summary',
    text: 'SELECT summary, summary_upto FROM chat.conversation WHERE tenant_id = $1 AND id = $2',
    values: [turn.tenant_id, turn.conversation_id],
  });
  const { summary = null, summary_upto = 0 } = rows[0] ?? {};
  return { summary, summary_upto, turns: await readTurns(client, turn, summary_upto) };
}

const wordsOf = (text: string) => text.split(/\s+/).filter((word) => word !== '');

function bounded(text: string, max: number): string {
  const words = wordsOf(text);
  return words.length <= max ? text.trim() : `${words.slice(0, max).join(' ')} …`;
}

function firstSentence(text: string): string {
  return /^[\s\S]*?[.!?](?=\s|$)/.exec(text.trim())?.[0] ?? text;
}
