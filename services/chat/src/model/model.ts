/** What answers: a language model behind an OpenAI-compatible endpoint, or the offline responder. */
import type { Chunk } from '../retrieval/retrieve.ts';

/** A call of a tool as the model wrote it: `arguments` is JSON text that nobody has checked. */
export type ToolCall = { id: string; name: string; arguments: string };

export type ChatMessage = {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  /** Of an assistant's message: what it asked for. */
  tool_calls?: ToolCall[];
  /** Of a tool's message: which call it answers. */
  tool_call_id?: string;
};

/** A tool as the model is told of it; `parameters` is a JSON Schema. */
export type ToolSpec = { name: string; description: string; parameters: object };

/** A prompt by name and by the hash of its text, as records and spans name it. */
export type PromptName = { name: string; hash: string };

export type ModelPurpose = 'chat' | 'summary' | 'analysis' | 'openai';

export type ModelRequest = {
  purpose: ModelPurpose;
  prompt: PromptName;
  /** The whole context, oldest first. */
  messages: ChatMessage[];
  tools: ToolSpec[];
  /** What was retrieved, numbered from 1 as the messages show it; the offline responder reads it here. */
  knowledge: Chunk[];
  maxOutputTokens: number;
  /** Aborting it closes the connection to the endpoint; the stream then throws the signal's reason. */
  signal: AbortSignal;
  who: { tenant_id: string; user_id: string; conversation_id: string | null; turn_id: string | null };
};

export type ModelUsage = { input_tokens: number; output_tokens: number };

/** Why a model stopped: it was done, it wants tools, or it reached maxOutputTokens. */
export type Finish = 'stop' | 'tool_calls' | 'length';

/** Any number of texts, then at most one set of tool calls, then the end. */
export type ModelEvent =
  | { kind: 'text'; text: string }
  | { kind: 'tool_calls'; calls: ToolCall[] }
  | { kind: 'end'; finish: Finish; usage: ModelUsage; model: string };

export type Model = {
  /** What a request and its answer may have together, in tokens. */
  contextTokens: number;
  /** Tokens of a text; near enough for a budget where the endpoint's own tokenizer is not known. */
  countTokens(text: string): number;
  isOffline: boolean;
  /** Throws ModelError, or the signal's reason when it was aborted. */
  stream(request: ModelRequest): AsyncIterable<ModelEvent>;
};

export type ModelErrorCode =
  /** No endpoint could be reached, or each one failed, before a first token. */
  | 'model_unavailable'
  /** An answer began and then nothing more came, or its connection broke. */
  | 'model_stalled'
  /** The endpoint refused the request for a reason that another try will not change: key, name, parameters. */
  | 'model_refused'
  /** The messages are longer than the model takes. */
  | 'context_too_long'
  /** The endpoint's own policy refused the content. */
  | 'content_refused';

/** A model did not answer. `retriable`: asking again later can help. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;
  readonly retriable: boolean;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retriable = code === 'model_unavailable' || code === 'model_stalled';
  }
}
