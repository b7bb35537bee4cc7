/** One answer: find what it is about, show it to the model, stream what it says, and call the tools that it asks for. */
import { withSpan } from '@ragline/runtime/tracing';
import type { Role } from '@ragline/web/principal';
import type { Usage } from '../domain.ts';
import type { ChatMessage, Model, ModelEvent, ToolCall, ToolSpec } from '../model/model.ts';
import type { Prompt } from '../model/prompts.ts';
import type { Retriever } from '../retrieval/retrieve.ts';
import type { ToolCaller, ToolOutcome } from '../tools/tool.ts';
import { addUsage, type Draft } from './draft.ts';
import type { TurnStream } from './events.ts';
import type { Failpoint } from './failpoint.ts';
import { citationOf, createNumbering, searchTextOf } from './knowledge.ts';
import { createMarks } from './marks.ts';
import { orCut } from './running.ts';
import type { History } from './store.ts';
import { fitWindow, type WindowLimits } from './window.ts';

/** The part of the registry that a turn uses. */
export type Tools = {
  specs(tenantId: string, roles: readonly Role[]): Promise<ToolSpec[]>;
  call(call: ToolCall, caller: ToolCaller): Promise<ToolOutcome>;
};

export type AnswerParts = {
  model: Model;
  retriever: Retriever;
  tools: Tools;
  /** `assistant`, with the places today and knowledge. */
  prompt: Prompt;
  limits: Omit<WindowLimits, 'modelTokens'>;
  failpoint: Failpoint;
};

export type Asked = {
  question: string;
  history: History;
  caller: Omit<ToolCaller, 'signal' | 'cite'>;
};

// What a customer needs takes two or three; a model that goes round in circles is stopped.
const roundsMax = 6;
const callsMax = 8;
const contentMax = 60_000;
const sourcesMax = 8;
const nameMax = 64;
const idMax = 200;
const silent = 'Sorry, I have no answer to that.';

/**
 * Streams the answer and fills the draft. What is in the draft is what was sent, at any moment.
 * Throws ModelError, the signal's reason, and what retrieval or a tool's own failure throws.
 */
export async function answer(
  parts: AnswerParts,
  { question, history, caller }: Asked,
  draft: Draft,
  stream: TurnStream,
  signal: AbortSignal,
): Promise<void> {
  const { model, prompt, failpoint } = parts;
  const countTokens = countingOf(model);
  const numbering = createNumbering();
  const [found, specs] = await find(parts, { question, history, caller }, draft, signal);
  numbering.cite(found);
  await failpoint('retrieved');

  const shownFirst = found.map((chunk, i) => ({ number: i + 1, chunk }));
  const rounds: ChatMessage[][] = [];
  const today = new Date().toISOString().slice(0, 10);
  draft.prompt_hash = prompt.hash;

  const say = createSaying(draft, stream, (number) => numbering.get(number));

  for (let round = 0; ; round += 1) {
    // With none to call, the model can only answer.
    const offered = round < roundsMax ? specs : [];
    const startedAt = performance.now();
    const window = fitWindow(
      {
        system: (knowledge) => prompt.render({ today, knowledge }),
        toolTokens: offered.length === 0 ? 0 : countTokens(JSON.stringify(offered)),
        summary: history.summary,
        chunks: shownFirst,
        turns: history.turns,
        question,
        rounds,
      },
      { ...parts.limits, modelTokens: model.contextTokens },
      countTokens,
    );
    draft.latency.context_ms ??= since(startedAt);
    draft.context = window.note;
    await failpoint('model');

    const request = {
      purpose: 'chat' as const,
      prompt: { name: prompt.name, hash: prompt.hash },
      messages: window.messages,
      tools: offered,
      knowledge: [...numbering.chunks()],
      maxOutputTokens: parts.limits.answerTokens,
      signal,
      who: caller,
    };
    const said = await listen(
      model.stream(request),
      { draft, say, signal, failpoint, startedAt },
      (text) => ({
        input_tokens: Object.values(window.note.tokens).reduce((sum, tokens) => sum + tokens, 0),
        output_tokens: model.countTokens(text),
      }),
    );
    if (said.calls.length === 0 || offered.length === 0) break;
    rounds.push(await callTools(parts, { caller, cite: numbering.cite }, said, draft, stream, signal));
    if (draft.content.length > contentMax) break;
    say.paragraph();
  }
  if (draft.content.trim() === '') say.text(silent);
  say.end();
}

const countings = new WeakMap<Model, (text: string) => number>();
const countedMax = 500;
const worthKeeping = 200;

/** Counts as the model does, and remembers long texts: tools, prompts and sources come again with each turn. */
function countingOf(model: Model): (text: string) => number {
  const known = countings.get(model);
  if (known !== undefined) return known;
  const counts = new Map<string, number>();
  const counting = (text: string): number => {
    const counted = counts.get(text) ?? model.countTokens(text);
    if (text.length >= worthKeeping) {
      if (counts.size >= countedMax) counts.clear();
      counts.set(text, counted);
    }
    return counted;
  };
  countings.set(model, counting);
  return counting;
}

/** What the question is about, and which tools there are: asked for side by side. */
async function find(
  { retriever, tools, limits }: AnswerParts,
  { question, history, caller }: Asked,
  draft: Draft,
  signal: AbortSignal,
) {
  const startedAt = performance.now();
  const query = searchTextOf(question, history.turns.at(-1)?.question);
  const searching = withSpan('chat retrieve', {}, () =>
    retriever.retrieve({
      tenant_id: caller.tenant_id,
      query,
      limit: sourcesMax,
      tokenBudget: limits.knowledgeTokens,
      signal,
    }),
  );
  const both = Promise.all([searching, tools.specs(caller.tenant_id, caller.roles)]);
  const [{ chunks }, specs] = await orCut(signal, both);
  draft.latency.retrieval_ms = since(startedAt);
  return [chunks, specs] as const;
}

type Saying = ReturnType<typeof createSaying>;

/** Text on its way to the reader, with its citations: each source is told of once, right after its first marker. */
function createSaying(
  draft: Draft,
  stream: TurnStream,
  sourceOf: (number: number) => Parameters<typeof citationOf>[0] | undefined,
) {
  const marks = createMarks((number) => sourceOf(number) !== undefined);
  const told = new Set<number>();
  let isNewParagraph = false;

  function show({ text, cited }: ReturnType<typeof marks.push>): void {
    if (text !== '') {
      const shown = isNewParagraph && draft.content !== '' ? `\n\n${text.trimStart()}` : text;
      isNewParagraph = false;
      draft.content += shown;
      stream.text(shown);
    }
    for (const number of cited) {
      const source = sourceOf(number);
      if (source === undefined || told.has(number)) continue;
      told.add(number);
      const citation = citationOf(source, number);
      draft.citations.push(citation);
      stream.event({ event_type: 'citation', ...citation });
    }
  }

  return {
    text: (piece: string): void => show(marks.push(piece)),
    end: (): void => show(marks.end()),
    /** What is said next, after tools, stands by itself. */
    paragraph(): void {
      show(marks.end());
      isNewParagraph = true;
    },
  };
}

type Said = { text: string; calls: ToolCall[] };

/** @param estimate what a call has used that was cut short before it said so */
async function listen(
  events: AsyncIterable<ModelEvent>,
  around: { draft: Draft; say: Saying; signal: AbortSignal; failpoint: Failpoint; startedAt: number },
  estimate: (text: string) => Usage,
): Promise<Said> {
  const { draft, say, signal, failpoint, startedAt } = around;
  const said: Said = { text: '', calls: [] };
  let used: Usage | undefined;
  const iterator = events[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Raced, so that a stop takes hold at once whatever the model is doing.
      const { done, value: event } = await orCut(signal, iterator.next());
      if (done) return said;
      switch (event.kind) {
        case 'text':
          draft.latency.model_ttft_ms ??= since(startedAt);
          said.text += event.text;
          say.text(event.text);
          await failpoint('text');
          // A provider that knows no end: the answer has to fit into one event.
          if (draft.content.length > contentMax) return said;
          break;
        case 'tool_calls':
          said.calls.push(...event.calls);
          break;
        case 'end':
          draft.model = event.model;
          used = event.usage;
      }
    }
  } finally {
    // A model that said nothing was not there, or refused: nobody pays for that.
    const isBegun = said.text !== '' || said.calls.length > 0;
    if (used !== undefined || isBegun) addUsage(draft, used ?? estimate(said.text));
    // Not awaited: a generator that hangs would not let go.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

/** Calls what the model asked for, one after another; gives the round as the model is shown it. */
async function callTools(
  { tools, failpoint }: AnswerParts,
  { caller, cite }: { caller: Asked['caller']; cite: NonNullable<ToolCaller['cite']> },
  { text, calls }: Said,
  draft: Draft,
  stream: TurnStream,
  signal: AbortSignal,
): Promise<ChatMessage[]> {
  const spent = (usage: Usage) => addUsage(draft, usage);
  const round: ChatMessage[] = [{ role: 'assistant', content: text, tool_calls: calls }];
  for (const [i, call] of calls.entries()) {
    if (i >= callsMax) {
      round.push({ role: 'tool', tool_call_id: call.id, content: '{"error":"Too many calls at a time."}' });
      continue;
    }
    // The model's words, whatever it wrote there.
    const [tool, call_id] = [call.name.slice(0, nameMax), call.id.slice(0, idMax)];
    stream.event({ event_type: 'tool_started', tool, call_id });
    await failpoint('tool');
    const startedAt = performance.now();
    const outcome = await orCut(signal, tools.call(call, { ...caller, signal, cite, spent }));
    await failpoint('tool_called');
    stream.event({
      event_type: 'tool_finished',
      tool,
      call_id,
      ok: outcome.ok,
      summary: outcome.summary,
      duration_ms: since(startedAt),
    });
    if (outcome.ok && outcome.approval !== undefined) {
      const { approval_id, quote } = outcome.approval;
      draft.approval_id = approval_id;
      stream.event({ event_type: 'approval_required', approval_id, quote: recordOf(quote) });
    }
    round.push({ role: 'tool', tool_call_id: call.id, content: outcome.content });
  }
  return round;
}

/** A JSON object as it is, anything else inside one. */
export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : { value };
}

const since = (startedAt: number) => Math.round(performance.now() - startedAt);
