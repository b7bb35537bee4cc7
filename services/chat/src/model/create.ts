/** The model that the settings ask for. */
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { countingInPieces } from '../embedding/counting.ts';
import type { Embedder } from '../embedding/embedder.ts';
import type { ModelCall } from './calls.ts';
import type { Model } from './model.ts';
import { createObserver } from './observe.ts';
import { createOfflineModel } from './offline/model.ts';
import type { ModelSettings } from './settings.ts';

export type ModelParts = {
  /** Gives the offline responder the meaning of a question. */
  embedder: Pick<Embedder, 'embed'>;
  metrics: Metrics;
  log: Logger;
  record: (call: ModelCall) => void;
};

export type CreatedModel = Model & { stop(): void };

export async function createModel(settings: ModelSettings, parts: ModelParts): Promise<CreatedModel> {
  const { embedder, metrics, log, record } = parts;
  const counting =
    settings.provider === 'openai' ? await import('gpt-tokenizer/encoding/o200k_base') : undefined;
  const countTokens = counting ? countingInPieces((text) => counting.countTokens(text, plain)) : roughTokens;
  const observe = createObserver({ metrics, record, countTokens });
  const offline = createOfflineModel({ embedder, observe, countTokens: roughTokens });
  if (settings.provider === 'offline' || settings.fallbackModels.includes('offline')) offline.warm();
  if (settings.provider === 'offline') {
    log.info('no model is set: the offline responder answers', { setting: 'OPENAI_API_KEY' });
    return { ...offline, stop: () => {} };
  }
  // Loaded when it is needed: it is large, and the offline default does without.
  const { createOpenAiModel } = await import('./openai-model.ts');
  return createOpenAiModel({ settings, countTokens, observe, offline, metrics, log });
}

// A text that spells a special token is text like any other.
const plain = { disallowedSpecial: new Set<string>() };

/** Near enough where nobody pays by it: words, numbers and signs, long words in parts. */
export function roughTokens(text: string): number {
  const parts = text.match(/\p{L}{1,6}|\p{N}{1,3}|[^\s\p{L}\p{N}]/gu);
  return parts?.length ?? 0;
}
