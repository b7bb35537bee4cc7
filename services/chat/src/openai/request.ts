/** A request in OpenAI's wire format: read leniently where nothing is lost by it, refused where something would be. */
import { z } from 'zod';
import { completionRequestExample } from '../examples.ts';
import type { ChatMessage, ToolSpec } from '../model/model.ts';
import { OpenAiError } from './errors.ts';

const messagesMax = 500;
const toolsMax = 64;

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const content = z.union([z.string(), z.array(part).max(100)]).nullish();
const call = z.looseObject({
  id: z.string().max(200),
  type: z.literal('function').optional(),
  function: z.looseObject({ name: z.string().max(128), arguments: z.string() }),
});
const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content,
  tool_calls: z.array(call).max(toolsMax).nullish(),
  tool_call_id: z.string().max(200).nullish(),
});
const tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().regex(/^[\w-]{1,64}$/, 'must be letters, digits, _ and -, at most 64'),
    description: z.string().max(8_000).nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
});
const named = z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string() }) });
const tokens = z.int().min(1).nullish();

// Loose: clients of the protocol send more than anybody here reads, such as `user` or `temperature`.
export const completionBody = z
  .looseObject({
    model: z.string().max(200),
    messages: z.array(message).min(1).max(messagesMax),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
    tools: z.array(tool).max(toolsMax).nullish(),
    tool_choice: z.union([z.enum(['none', 'auto', 'required']), named]).nullish(),
    max_tokens: tokens,
    max_completion_tokens: tokens,
    n: z.int().nullish(),
    stop: z.unknown().optional(),
    logprobs: z.boolean().nullish(),
    functions: z.unknown().optional(),
    response_format: z.looseObject({ type: z.string() }).nullish(),
  })
  .meta({ id: 'CompletionRequest', examples: [completionRequestExample] });

export type CompletionRequest = {
  /** What the caller's application says to the model, apart from the conversation. */
  instructions: string;
  /** The conversation, oldest first. */
  messages: ChatMessage[];
  tools: ToolSpec[];
  maxTokens: number | undefined;
  isStream: boolean;
  hasUsage: boolean;
};

/** Throws OpenAiError for what is no request, or asks for something that would silently be left out. */
export function completionRequest(value: unknown): CompletionRequest {
  const { data, error } = completionBody.safeParse(value);
  if (data === undefined) {
    const [issue] = error.issues;
    const param = issue === undefined ? '' : nameOf(issue.path);
    throw new OpenAiError(400, { message: `${param}: ${issue?.message ?? 'is not valid'}`, param });
  }
  for (const [name, isAsked] of Object.entries({
    n: (data.n ?? 1) !== 1,
    stop: data.stop !== undefined && data.stop !== null,
    logprobs: data.logprobs === true,
    functions: data.functions !== undefined && data.functions !== null,
    response_format: (data.response_format?.type ?? 'text') !== 'text',
  })) {
    if (isAsked) {
      const code = 'unsupported_parameter';
      throw new OpenAiError(400, { message: `${name} is not supported here`, param: name, code });
    }
  }
  const isInstruction = (role: string) => role === 'system' || role === 'developer';
  return {
    instructions: data.messages
      .filter(({ role }) => isInstruction(role))
      .map((it) => textOf(it.content))
      .join('\n\n'),
    messages: data.messages.filter(({ role }) => !isInstruction(role)).map(messageFrom),
    tools: toolsOf(data),
    maxTokens: data.max_completion_tokens ?? data.max_tokens ?? undefined,
    isStream: data.stream ?? false,
    hasUsage: data.stream_options?.include_usage ?? false,
  };
}

function messageFrom({ role, content, tool_calls, tool_call_id }: z.infer<typeof message>): ChatMessage {
  return {
    role: role === 'developer' ? 'system' : role,
    content: textOf(content),
    ...(tool_calls?.length
      ? {
          tool_calls: tool_calls.map(({ id, function: { name, arguments: written } }) => ({
            id,
            name,
            arguments: written,
          })),
        }
      : {}),
    ...(tool_call_id ? { tool_call_id } : {}),
  };
}

function textOf(said: z.infer<typeof content>): string {
  if (typeof said === 'string') return said;
  return (said ?? [])
    .map(({ type, text }) => {
      if (type === 'text' && text !== undefined) return text;
      throw new OpenAiError(400, {
        message: `Content of type ${type} is not supported here`,
        param: 'messages',
      });
    })
    .join('');
}

/** Which tools are offered is all that a choice comes to: none, one, or all. */
function toolsOf({ tools, tool_choice }: z.infer<typeof completionBody>): ToolSpec[] {
  if (tool_choice === 'none') return [];
  const offered = (tools ?? []).map(({ function: { name, description, parameters } }) => ({
    name,
    description: description ?? '',
    parameters: parameters ?? { type: 'object', properties: {} },
  }));
  if (typeof tool_choice !== 'object' || tool_choice === null) return offered;
  const { name } = tool_choice.function;
  const chosen = offered.filter((it) => it.name === name);
  if (chosen.length > 0) return chosen;
  throw new OpenAiError(400, { message: `There is no tool ${name}`, param: 'tool_choice' });
}

/** `messages[0].content`, as OpenAI names parameters. */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}
