/** Models behind an OpenAI-compatible endpoint: asked in turn until one begins to answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakerError, type BreakerState, createBreaker } from '@ragline/runtime/breaker';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import OpenAI from 'openai';
import { attempt, type StreamBreaker } from './attempt.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import { afterFailure, isHarmless, type NextStep } from './failures.ts';
import {
  type Finish,
  type Model,
  ModelError,
  type ModelErrorCode,
  type ModelEvent,
  type ModelRequest,
  type ModelUsage,
} from './model.ts';
import { countedUsage, type Observer } from './observe.ts';
import { isOpenAi, type ModelSettings } from './settings.ts';

const triesMax = 3;
const backoffMs = 200;
// Who asks for a longer wait than this has the next model asked instead.
const askedWaitMaxMs = 3_000;
// The turn's own deadline is shorter; this only keeps a breaker from waiting for ever.
const answerMaxMs = 1_800_000;

export type OpenAiModelOptions = {
  settings: ModelSettings;
  countTokens: (text: string) => number;
  observe: Observer;
  /** Answers where the list of models says `offline`. */
  offline: Model;
  metrics: Metrics;
  log: Logger;
  /** How long a breaker stays open, in milliseconds. */
  openMs?: number;
};

export type OpenAiModel = Model & { states(): Record<string, BreakerState>; stop(): void };

type Candidate = { endpoint: Endpoint; breaker: StreamBreaker } | 'offline';

export function createOpenAiModel(options: OpenAiModelOptions): OpenAiModel {
  const { settings, countTokens, observe, offline, metrics, log } = options;
  const candidates = [settings.model, ...settings.fallbackModels].map((name) => candidateOf(name, options));
  const retries = metrics.counter('ragline_chat_model_retries_total', 'Tries after a failure.', [
    'model',
    'next',
  ]);

  /** One try: events as a turn reads them. */
  async function* events(
    { endpoint, breaker }: Exclude<Candidate, 'offline'>,
    request: ModelRequest,
  ): AsyncGenerator<ModelEvent, void> {
    let written = '';
    let finish: Finish | undefined;
    let usage: ModelUsage | undefined;
    for await (const piece of attempt(breaker, endpoint, request, settings)) {
      if (piece.kind === 'text') {
        written += piece.text;
        yield { kind: 'text', text: piece.text };
      } else if (piece.kind === 'finish') {
        const { calls } = piece;
        if (piece.finish === 'refused')
          throw new ModelError('content_refused', 'The endpoint refused the content');
        finish = piece.finish;
        if (finish === 'tool_calls') yield { kind: 'tool_calls', calls };
        written += calls.map((call) => call.name + call.arguments).join(' ');
      } else if (piece.kind === 'usage') {
        usage = piece.usage;
      }
    }
    if (finish === undefined) return;
    usage ??= countedUsage(request, written, countTokens);
    yield { kind: 'end', finish, model: endpoint.model, usage };
  }

  /** Asks one model until it begins to answer; gives why it does not. */
  async function* tried(
    candidate: Exclude<Candidate, 'offline'>,
    request: ModelRequest,
  ): AsyncGenerator<ModelEvent, ModelErrorCode | undefined> {
    const { host, model } = candidate.endpoint;
    for (let tries = 1; ; tries++) {
      let hasBegun = false;
      try {
        for await (const event of observe(request, { endpoint: host, model }, events(candidate, request))) {
          hasBegun = true;
          yield event;
        }
        return undefined;
      } catch (error) {
        request.signal.throwIfAborted();
        if (error instanceof ModelError) throw error;
        // What was said cannot be taken back, so there is no second try.
        if (hasBegun) throw new ModelError('model_stalled', `The answer of ${model} broke off`);
        const step = stepAfter(error, tries);
        log.warn('model did not answer', { host, model, tries, next: step.kind, reason: step.reason });
        if (step.kind === 'give_up') throw new ModelError(step.code, `${model} refused: ${step.reason}`);
        if (step.kind === 'next_model') return step.code;
        retries.inc({ model, next: 'same' });
        await sleep(step.afterMs ?? waitMs(tries), undefined, { signal: request.signal }).catch(() =>
          request.signal.throwIfAborted(),
        );
      }
    }
  }

  return {
    contextTokens: settings.contextTokens,
    countTokens,
    isOffline: false,
    async *stream(request) {
      const codes: ModelErrorCode[] = [];
      for (const candidate of candidates) {
        request.signal.throwIfAborted();
        if (candidate === 'offline') return yield* offline.stream(request);
        const code = yield* tried(candidate, request);
        if (code === undefined) return;
        codes.push(code);
        retries.inc({ model: candidate.endpoint.model, next: 'other' });
      }
      throw allFailed(codes);
    },
    states: () =>
      Object.fromEntries(
        candidates.flatMap((candidate) =>
          candidate === 'offline' ? [] : [[candidate.endpoint.model, candidate.breaker.state()]],
        ),
      ),
    stop() {
      for (const candidate of candidates) if (candidate !== 'offline') candidate.breaker.stop();
    },
  };
}

function candidateOf(name: string, { settings, metrics, log, openMs }: OpenAiModelOptions): Candidate {
  if (name === 'offline') return 'offline';
  const client = new OpenAI({
    baseURL: settings.baseUrl,
    // The client insists on one; an endpoint of one's own may ask for none.
    apiKey: settings.apiKey ?? 'none',
    // Left out of the environment: a setting that nobody named here should not be sent.
    organization: null,
    project: null,
    // Tries are counted in one place, here.
    maxRetries: 0,
    timeout: answerMaxMs,
    logLevel: 'off',
  });
  const limitBy = isOpenAi(settings.baseUrl) ? 'max_completion_tokens' : 'max_tokens';
  const endpoint = createEndpoint({ client, model: name, limitBy, log });
  const breaker = createBreaker({
    name: `model ${endpoint.host} ${name}`,
    call: (life: () => Promise<void>) => life(),
    timeoutMs: answerMaxMs,
    metrics,
    isHarmless,
    ...(openMs === undefined ? {} : { openMs }),
  });
  return { endpoint, breaker };
}

function stepAfter(error: unknown, tries: number): NextStep {
  if (error instanceof BreakerError)
    return { kind: 'next_model', code: 'model_unavailable', reason: error.code };
  const step = afterFailure(error);
  if (step.kind !== 'retry') return step;
  const isWorthIt = tries < triesMax && (step.afterMs ?? 0) <= askedWaitMaxMs;
  return isWorthIt ? step : { kind: 'next_model', code: 'model_unavailable', reason: step.reason };
}

function waitMs(tries: number): number {
  return backoffMs * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
}

/** What the failures have in common; where one may pass, so may the whole. */
function allFailed(codes: readonly ModelErrorCode[]): ModelError {
  const [first] = codes;
  const code =
    first !== undefined && codes.every((other) => other === first) ? first : ('model_unavailable' as const);
  return new ModelError(code, `None of ${codes.length} models answered`);
}
