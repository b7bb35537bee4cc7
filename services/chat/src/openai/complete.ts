/**
 * One completion for a caller who keeps the conversation himself: the same retrieval, model, budgets and records of
 * calls as a turn, and nothing else. There is no conversation, no turn and no event; the assistant's own tools are not
 * offered, so nothing can be ordered; who leaves ends it (docs/decisions/0132).
 */
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Principal } from '@ragline/web/principal';
import type { Budgets } from '../budgets.ts';
import type { Citation, Usage } from '../domain.ts';
import { type ChatMessage, type Finish, type Model, ModelError, type ToolCall } from '../model/model.ts';
import type { Prompt } from '../model/prompts.ts';
import type { Chunk } from '../retrieval/chunk.ts';
import type { Retriever } from '../retrieval/retrieve.ts';
import { citationOf, nothingFound, renderChunk, searchTextOf } from '../turn/knowledge.ts';
import { createMarks } from '../turn/marks.ts';
import type { Places } from '../turn/places.ts';
import type { WindowLimits } from '../turn/window.ts';
import type { CompletionRequest } from './request.ts';

export type CompletionParts = {
  pool: Pool;
  model: Model;
  retriever: Retriever;
  budgets: Budgets;
  /** `assistant`, with the places today and knowledge. */
  prompt: Prompt;
  limits: Omit<WindowLimits, 'modelTokens'>;
  places: Places;
  /** After which the signal is aborted. */
  deadlineMs: number;
};

export type Completed = { finish: Finish; usage: Usage; citations: Citation[] };
export type CompletionEvent =
  | { kind: 'text'; text: string }
  | { kind: 'tool_calls'; calls: ToolCall[] }
  | ({ kind: 'end' } & Completed);

const sourcesMax = 8;
const queryMax = 2_000;
const perMessage = 4;
// More than any text has: what is longer need not be counted to be refused.
const lettersPerToken = 16;
// What is left to do once the signal is aborted.
const afterDeadlineMs = 10_000;

/** Throws what asking for a budget, retrieval and the model throw, or the signal's reason. */
export async function* complete(
  parts: CompletionParts,
  principal: Principal,
  request: CompletionRequest,
  signal: AbortSignal,
): AsyncGenerator<CompletionEvent, void> {
  const { pool, model, budgets, places, prompt, limits } = parts;
  const { tenant_id, user_id } = principal;
  const id = randomUUIDv7();
  const limit = Math.min(model.contextTokens, limits.tokensMax);
  // A ceiling, which clients set as high as they like: it takes no room from what is asked.
  const maxOutputTokens = Math.min(request.maxTokens ?? limits.answerTokens, Math.floor(limit / 2));
  if (tokensOf(request, ({ length }) => length) > limit * lettersPerToken) throw tooLong(limit);
  const asked = tokensOf(request, model.countTokens);
  await inTenant(pool, tenant_id, async (client) => {
    await places.take(client, principal, { id, forMs: parts.deadlineMs + afterDeadlineMs });
    await budgets.hold(client, principal, id, asked + limits.knowledgeTokens + maxOutputTokens);
  });
  let usage: Usage = { input_tokens: 0, output_tokens: 0 };
  let written = '';
  try {
    const chunks = await find(parts, tenant_id, request, signal);
    const { messages, knowledge, tokens } = fitted(parts, request, chunks, asked, maxOutputTokens);
    const marks = createMarks((number) => knowledge[number - 1] !== undefined);
    const citations = new Map<number, Citation>();
    const shown = ({ text, cited }: ReturnType<typeof marks.push>): CompletionEvent[] => {
      for (const number of cited) {
        const chunk = knowledge[number - 1];
        if (chunk !== undefined) citations.set(number, citationOf(chunk, number));
      }
      return text === '' ? [] : [{ kind: 'text', text }];
    };
    const events = model.stream({
      ...{
        purpose: 'openai',
        prompt: { name: prompt.name, hash: prompt.hash },
        messages,
        tools: request.tools,
      },
      ...{ knowledge, maxOutputTokens, signal },
      who: { tenant_id, user_id, conversation_id: null, turn_id: null },
    });
    for await (const event of events) {
      // Read, since it answers: a model that could not be reached has used nothing.
      if (event.kind !== 'end') usage = { input_tokens: tokens, output_tokens: 0 };
      if (event.kind === 'text') {
        written += event.text;
        yield* shown(marks.push(event.text));
      } else if (event.kind === 'tool_calls') {
        written += JSON.stringify(event.calls);
        yield* shown(marks.end());
        yield { kind: 'tool_calls', calls: event.calls };
      } else {
        usage = event.usage;
        yield* shown(marks.end());
        yield { kind: 'end', finish: event.finish, usage, citations: [...citations.values()] };
      }
    }
  } finally {
    // What was cut short has used what it had read and written.
    if (usage.output_tokens === 0 && written !== '') {
      usage = { ...usage, output_tokens: model.countTokens(written) };
    }
    await inTenant(pool, tenant_id, async (client) => {
      await places.leave(client, { id, tenant_id });
      await budgets.spend(client, { id, tenant_id, user_id }, usage);
    });
  }
}

async function find(
  { retriever, limits }: CompletionParts,
  tenant_id: string,
  { messages }: CompletionRequest,
  signal: AbortSignal,
): Promise<Chunk[]> {
  const [question, before] = messages.filter(({ role }) => role === 'user').reverse();
  if (question === undefined || question.content.trim() === '') return [];
  const query = searchTextOf(question.content, before?.content).slice(0, queryMax);
  const { chunks } = await retriever.retrieve({
    ...{ tenant_id, query, limit: sourcesMax, tokenBudget: limits.knowledgeTokens, signal },
  });
  return chunks;
}

/** The caller's messages are never cut: he has them, and knows what may go. Sources are, the worst first. */
function fitted(
  { model, prompt, limits }: CompletionParts,
  { instructions, messages }: CompletionRequest,
  found: readonly Chunk[],
  asked: number,
  maxOutputTokens: number,
): { messages: ChatMessage[]; knowledge: Chunk[]; tokens: number } {
  const limit = Math.min(model.contextTokens, limits.tokensMax) - maxOutputTokens;
  const today = new Date().toISOString().slice(0, 10);
  for (let kept = found.length; kept >= 0; kept -= 1) {
    const knowledge = found.slice(0, kept);
    const rendered = knowledge.map((chunk, i) => renderChunk(chunk, i + 1)).join('\n\n');
    const own = prompt.render({
      today,
      knowledge: kept === 0 ? nothingFound : rendered,
    });
    const system = instructions === '' ? own : `${own}\n\nThe application that asks says:\n${instructions}`;
    const tokens = asked + model.countTokens(own) + perMessage;
    if (tokens <= limit)
      return { messages: [{ role: 'system', content: system }, ...messages], knowledge, tokens };
  }
  throw tooLong(limit);
}

const tooLong = (limit: number) =>
  new ModelError('context_too_long', `The messages need more than the ${limit} tokens that there are`);

function tokensOf(
  { instructions, messages, tools }: CompletionRequest,
  count: (text: string) => number,
): number {
  const said = messages.map(
    ({ content, tool_calls }) =>
      perMessage + count(content) + (tool_calls ? count(JSON.stringify(tool_calls)) : 0),
  );
  return said.reduce(
    (sum, each) => sum + each,
    count(instructions) + (tools.length ? count(JSON.stringify(tools)) : 0),
  );
}
