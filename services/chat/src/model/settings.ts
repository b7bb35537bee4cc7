/** Settings of the model: whom to ask, and how long to wait. */
import type { SettingsReader } from '@ragline/runtime/settings';

export type ModelSettings = {
  /** The offline responder, or an OpenAI-compatible endpoint. */
  provider: 'offline' | 'openai';
  apiKey: string | undefined;
  baseUrl: string;
  model: string;
  /** Asked in this order when the model fails before its first token; `offline` is the offline responder. */
  fallbackModels: readonly string[];
  /** Of one try, from the request to the first token. */
  firstTokenMs: number;
  /** Between one piece of an answer and the next. */
  stallMs: number;
  /** What the endpoint's models take, question and answer together, in tokens. */
  contextTokens: number;
};

const openAiUrl = 'https://api.openai.com/v1';

/** Without a key and without an address the offline responder answers. */
export function readModelSettings(env: SettingsReader): ModelSettings {
  const apiKey = env.optional('OPENAI_API_KEY');
  // The older name is read too, since many installations still set it.
  const named = env.optional('OPENAI_BASE_URL') === undefined ? 'OPENAI_API_BASE' : 'OPENAI_BASE_URL';
  const hasEndpoint = apiKey !== undefined || env.optional(named) !== undefined;
  return {
    provider: env.choice('CHAT_PROVIDER', ['offline', 'openai'], hasEndpoint ? 'openai' : 'offline'),
    apiKey,
    baseUrl: env.url(named, openAiUrl),
    model: env.string('CHAT_MODEL', 'gpt-4.1-mini'),
    fallbackModels: env.list('CHAT_FALLBACK_MODELS', []),
    firstTokenMs: env.integer('MODEL_FIRST_TOKEN_MS', 20_000, { min: 100, max: 600_000 }),
    stallMs: env.integer('MODEL_STALL_MS', 15_000, { min: 100, max: 600_000 }),
    contextTokens: env.integer('MODEL_CONTEXT_TOKENS', 32_000, { min: 2_000, max: 4_000_000 }),
  };
}

/** OpenAI's own endpoint, which knows all of the protocol's parameters. */
export function isOpenAi(baseUrl: string): boolean {
  return new URL(baseUrl).host === new URL(openAiUrl).host;
}
