/** One model of one OpenAI-compatible endpoint: a request as the protocol has it, its answer in pieces. */
import type { Logger } from '@ragline/runtime/logger';
import type OpenAI from 'openai';
import type { ChatCompletionChunk, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import { CutError, refusedParameter } from './failures.ts';
import type { ChatMessage, Finish, ModelRequest, ModelUsage, ToolCall } from './model.ts';
import { collectToolCalls } from './tool-calls.ts';

/** What an answer is made of; `progress` is a sign of life, such as a part of a tool call. */
export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'progress' }
  | { kind: 'finish'; finish: Finish | 'refused'; calls: ToolCall[] }
  | { kind: 'usage'; usage: ModelUsage };

export type Endpoint = {
  /** Host and port. */
  host: string;
  model: string;
  /** Throws what the client throws, or CutError when the answer ends without saying so. */
  pieces(request: ModelRequest, signal: AbortSignal): AsyncGenerator<Piece, void>;
};

// What older or smaller endpoints may not know, and an answer can do without.
const optional = ['stream_options', 'max_completion_tokens', 'max_tokens'] as const;
type Optional = (typeof optional)[number];

export type EndpointOptions = { client: OpenAI; model: string; limitBy: TokenLimit; log: Logger };
/** OpenAI's newer models refuse `max_tokens`; most other endpoints know only that. */
export type TokenLimit = 'max_completion_tokens' | 'max_tokens';

export function createEndpoint({ client, model, limitBy, log }: EndpointOptions): Endpoint {
  const { host } = new URL(client.baseURL);
  // Learnt from the first refusal, so that it is met once and not with each request.
  const refused = new Set<Optional>();

  /** Sends the request; again without a parameter that the endpoint refuses. */
  async function open(request: ModelRequest, signal: AbortSignal) {
    for (;;) {
      const extras = extrasOf(request, limitBy, refused);
      try {
        return await client.chat.completions.create(
          {
            model,
            stream: true,
            messages: request.messages.map(messageParam),
            ...toolsOf(request),
            ...extras,
          },
          { signal },
        );
      } catch (error) {
        const parameter = refusedParameter(
          error,
          optional.filter((name) => name in extras),
        );
        if (parameter === undefined) throw error;
        refused.add(parameter);
        log.info('endpoint refuses a parameter; sent without it from now on', { host, model, parameter });
      }
    }
  }

  return {
    host,
    model,
    async *pieces(request, signal) {
      const stream = await open(request, signal);
      const calls = collectToolCalls();
      let hasFinished = false;
      for await (const chunk of stream) {
        for (const piece of piecesOf(chunk, calls)) {
          hasFinished ||= piece.kind === 'finish';
          yield piece;
        }
      }
      // The client takes an abort, and a connection that closes early, for the end of the answer.
      signal.throwIfAborted();
      if (!hasFinished) throw new CutError('The answer ended before its end');
    },
  };
}

function* piecesOf(
  chunk: ChatCompletionChunk,
  calls: ReturnType<typeof collectToolCalls>,
): Generator<Piece, void> {
  const [choice] = chunk.choices ?? [];
  if (choice !== undefined) {
    const { content, tool_calls } = choice.delta ?? {};
    for (const delta of tool_calls ?? []) calls.add(delta);
    if (content) yield { kind: 'text', text: content };
    else if (hasContent(choice.delta)) yield { kind: 'progress' };
    if (choice.finish_reason) {
      yield { kind: 'finish', finish: finishOf(choice.finish_reason, calls.calls()), calls: calls.calls() };
    }
  }
  if (chunk.usage) {
    const { prompt_tokens, completion_tokens } = chunk.usage;
    yield { kind: 'usage', usage: { input_tokens: prompt_tokens, output_tokens: completion_tokens } };
  }
}

/** Beside the role: reasoning that some models stream first, or a part of a call. */
function hasContent(delta: object | undefined): boolean {
  return Object.entries(delta ?? {}).some(
    ([name, value]) => name !== 'role' && value !== null && value !== '',
  );
}

function finishOf(reason: string, calls: readonly ToolCall[]): Finish | 'refused' {
  if (reason === 'content_filter') return 'refused';
  // Cut off, a call's arguments are of no use.
  if (reason === 'length') return 'length';
  // Some endpoints say `stop` after calls too.
  return calls.length > 0 ? 'tool_calls' : 'stop';
}

function extrasOf(request: ModelRequest, limitBy: TokenLimit, refused: ReadonlySet<Optional>) {
  const other = limitBy === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
  const limit = [limitBy, other].find((name) => !refused.has(name as Optional));
  return {
    ...(limit === undefined ? {} : { [limit]: request.maxOutputTokens }),
    ...(refused.has('stream_options') ? {} : { stream_options: { include_usage: true } }),
  };
}

function toolsOf({ tools }: ModelRequest) {
  if (tools.length === 0) return {};
  return {
    tools: tools.map(({ name, description, parameters }) => ({
      type: 'function' as const,
      function: { name, description, parameters: { ...parameters } },
    })),
  };
}

function messageParam({ role, content, tool_calls, tool_call_id }: ChatMessage): ChatCompletionMessageParam {
  if (role === 'tool') return { role, content, tool_call_id: tool_call_id ?? '' };
  if (role !== 'assistant' || !tool_calls?.length) return { role, content };
  const calls = tool_calls.map((call) => ({
    id: call.id,
    type: 'function' as const,
    function: { name: call.name, arguments: call.arguments },
  }));
  return { role, content: content === '' ? null : content, tool_calls: calls };
}
