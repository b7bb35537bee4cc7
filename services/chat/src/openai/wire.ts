/** Completions as OpenAI writes them: whole, or in chunks. */
import type { Citation } from '../domain.ts';
import type { ToolCall } from '../model/model.ts';
import type { Completed, CompletionEvent } from './complete.ts';

/** The one model that there is: which of the configured ones answered is in llm.calls.v1. */
export const modelName = 'ragline';

export type Head = { id: string; created: number; model: string };

export function headOf(id: string): Head {
  return { id: `chatcmpl-${id}`, created: Math.floor(Date.now() / 1_000), model: modelName };
}

/** Throws what the events throw. */
export async function answerOf(head: Head, events: AsyncIterable<CompletionEvent>): Promise<object> {
  let content = '';
  let calls: ToolCall[] = [];
  let end: Completed | undefined;
  for await (const event of events) {
    if (event.kind === 'text') content += event.text;
    else if (event.kind === 'tool_calls') calls = event.calls;
    else end = event;
  }
  if (end === undefined) throw new Error('The model gave no end');
  const message = {
    role: 'assistant',
    content: content === '' && calls.length > 0 ? null : content,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls.map(callOf) } : {}),
  };
  return {
    ...{ ...head, object: 'chat.completion' },
    choices: [{ index: 0, message, logprobs: null, finish_reason: end.finish }],
    usage: usageOf(end),
    citations: end.citations,
  };
}

/** Chunks in their order; the last but the usage has the reason and the sources. */
export async function* pieces(
  head: Head,
  events: AsyncIterable<CompletionEvent>,
  { hasUsage }: { hasUsage: boolean },
): AsyncGenerator<object, void> {
  const nothingYet = hasUsage ? { usage: null } : {};
  const chunk = (delta: object, finish: string | null = null, more: { citations?: Citation[] } = {}) => ({
    ...{ ...head, object: 'chat.completion.chunk' },
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...nothingYet,
    ...more,
  });
  let isFirst = true;
  for await (const event of events) {
    if (isFirst) yield chunk({ role: 'assistant', content: '' });
    isFirst = false;
    if (event.kind === 'text') yield chunk({ content: event.text });
    else if (event.kind === 'tool_calls') {
      yield chunk({ tool_calls: event.calls.map((call, index) => ({ index, ...callOf(call) })) });
    } else {
      const { citations } = event;
      yield chunk({}, event.finish, citations.length > 0 ? { citations } : {});
      if (hasUsage) yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(event) };
    }
  }
}

const callOf = ({ id, name, arguments: written }: ToolCall) => ({
  id,
  type: 'function',
  function: { name, arguments: written },
});

function usageOf({ usage: { input_tokens, output_tokens } }: Completed) {
  return {
    prompt_tokens: input_tokens,
    completion_tokens: output_tokens,
    total_tokens: input_tokens + output_tokens,
  };
}
