/** What tests of models share: a request, and a model on a fake endpoint. */
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import type { ModelCall } from './calls.ts';
import type { Model, ModelEvent, ModelRequest } from './model.ts';
import { createObserver } from './observe.ts';
import { createOpenAiModel } from './openai-model.ts';
import type { ModelSettings } from './settings.ts';

export const silent = createLogger({ service: 'test', level: 'error' });

export function aRequest(changes: Partial<ModelRequest> = {}): ModelRequest {
  return {
    purpose: 'chat',
    prompt: { name: 'assistant', hash: '0123456789abcdef' },
    messages: [{ role: 'user', content: 'Is there a vegan pizza?' }],
    tools: [],
    knowledge: [],
    maxOutputTokens: 200,
    signal: new AbortController().signal,
    who: {
      tenant_id: '01890a5d-ac96-7ab0-80e2-8f5a9e4e0001',
      user_id: 'u',
      conversation_id: null,
      turn_id: null,
    },
    ...changes,
  };
}

/** A model on an endpoint, with short deadlines, and the calls that it recorded. */
export function modelOn(
  baseUrl: string,
  changes: Partial<ModelSettings> & { openMs?: number; offline?: Model } = {},
) {
  const { openMs, offline, ...settings } = changes;
  const calls: ModelCall[] = [];
  const metrics = createMetrics({ service: 'test' });
  const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;
  const observe = createObserver({ metrics, record: (call) => calls.push(call), countTokens });
  const model = createOpenAiModel({
    settings: {
      provider: 'openai',
      apiKey: 'a-key',
      baseUrl,
      model: 'first',
      fallbackModels: [],
      firstTokenMs: 5_000,
      stallMs: 5_000,
      contextTokens: 8_000,
      ...settings,
    },
    countTokens,
    observe,
    offline: offline ?? saying('offline'),
    metrics,
    log: silent,
    ...(openMs === undefined ? {} : { openMs }),
  });
  return { model, calls, metrics };
}

/** A model that always says the same. */
export function saying(text: string): Model {
  return {
    contextTokens: 8_000,
    countTokens: (said) => said.length,
    isOffline: true,
    async *stream() {
      yield { kind: 'text', text };
      yield { kind: 'end', finish: 'stop', usage: { input_tokens: 0, output_tokens: 1 }, model: 'offline' };
    },
  };
}

export async function eventsOf(model: Model, request: ModelRequest = aRequest()): Promise<ModelEvent[]> {
  const events: ModelEvent[] = [];
  for await (const event of model.stream(request)) events.push(event);
  return events;
}

export function textOf(events: readonly ModelEvent[]): string {
  return events.map((event) => (event.kind === 'text' ? event.text : '')).join('');
}
