/** Measures a model call from outside: metrics, a span, and its record. */
import { performance } from 'node:perf_hooks';
import { BreakerError } from '@ragline/runtime/breaker';
import type { Metrics } from '@ragline/runtime/metrics';
import { failSpan, openSpan, type Span } from '@ragline/runtime/tracing';
import type { ModelCall } from './calls.ts';
import { ModelError, type ModelEvent, type ModelRequest, type ModelUsage } from './model.ts';

export type Observer = (
  request: ModelRequest,
  called: { endpoint: string; model: string },
  source: AsyncIterable<ModelEvent>,
) => AsyncGenerator<ModelEvent, void>;

export type ObserverOptions = {
  metrics: Metrics;
  record: (call: ModelCall) => void;
  /** For a call that ends before the endpoint says what it took. */
  countTokens: (text: string) => number;
};

const secondsBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160];

export function createObserver({ metrics, record, countTokens }: ObserverOptions): Observer {
  const calls = metrics.counter('ragline_chat_model_calls_total', 'Calls of models.', ['model', 'outcome']);
  const firstToken = metrics.histogram(
    'ragline_chat_model_first_token_seconds',
    'From the request to the first token.',
    ['model'],
    secondsBuckets,
  );
  const seconds = metrics.histogram(
    'ragline_chat_model_seconds',
    'A whole call of a model.',
    ['model', 'outcome'],
    secondsBuckets,
  );
  const tokens = metrics.counter('ragline_chat_model_tokens_total', 'Tokens of models.', [
    'model',
    'direction',
  ]);

  function end(span: Span, call: ModelCall): void {
    const { model, outcome, usage, ttftMs, durationMs } = call;
    calls.inc({ model, outcome });
    seconds.observe({ model, outcome }, durationMs / 1_000);
    if (ttftMs !== null) firstToken.observe({ model }, ttftMs / 1_000);
    tokens.inc({ model, direction: 'input' }, usage.input_tokens);
    tokens.inc({ model, direction: 'output' }, usage.output_tokens);
    span.setAttributes({
      'gen_ai.usage.input_tokens': usage.input_tokens,
      'gen_ai.usage.output_tokens': usage.output_tokens,
      'ragline.outcome': outcome,
      ...(ttftMs === null ? {} : { 'ragline.ttft_ms': Math.round(ttftMs) }),
    });
    span.end();
    record(call);
  }

  return async function* observe(request, { endpoint, model }, source) {
    const startedAt = performance.now();
    const span = openSpan('model call', {
      kind: 'client',
      attributes: attributesOf(request, endpoint, model),
    });
    let ttftMs: number | null = null;
    let usage: ModelUsage | undefined;
    let written = '';
    let failure: unknown;
    let wasSent = true;
    try {
      for await (const event of source) {
        if (event.kind === 'end') usage = event.usage;
        else ttftMs ??= performance.now() - startedAt;
        if (event.kind === 'text') written += event.text;
        yield event;
      }
    } catch (error) {
      failure = error;
      wasSent = !(error instanceof BreakerError && error.code === 'breaker_open');
      if (!request.signal.aborted) failSpan(span, new Error(codeOf(error)));
      throw error;
    } finally {
      if (wasSent) {
        end(span, {
          request,
          endpoint,
          model,
          usage: usage ?? countedUsage(request, written, countTokens),
          ttftMs,
          durationMs: performance.now() - startedAt,
          // Whoever reads no further has stopped it, too.
          outcome: request.signal.aborted ? 'stopped' : failure ? 'failed' : usage ? 'ok' : 'stopped',
          errorCode: failure && !request.signal.aborted ? codeOf(failure) : null,
        });
      } else span.end();
    }
  };
}

/** What a request and an answer come to, by our own count. */
export function countedUsage(
  { messages, tools }: Pick<ModelRequest, 'messages' | 'tools'>,
  written: string,
  countTokens: (text: string) => number,
): ModelUsage {
  const said = messages.map(({ content, tool_calls = [] }) =>
    [content, ...tool_calls.map((call) => call.arguments)].join(' '),
  );
  const told = tools.map((tool) => JSON.stringify(tool));
  const input = [...said, ...told].reduce((sum, text) => sum + countTokens(text) + tokensOfFrame, 0);
  return { input_tokens: input, output_tokens: countTokens(written) };
}

// Each message has a few tokens around it that mark its role.
const tokensOfFrame = 4;

function codeOf(error: unknown): string {
  if (error instanceof ModelError || error instanceof BreakerError) return error.code;
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (typeof status === 'number') return `status_${status}`;
  return error instanceof Error ? error.name : 'unknown';
}

function attributesOf(request: ModelRequest, endpoint: string, model: string) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': model,
    'server.address': endpoint,
    'ragline.purpose': request.purpose,
    'ragline.prompt_name': request.prompt.name,
    'ragline.prompt_hash': request.prompt.hash,
    'ragline.tenant_id': request.who.tenant_id,
  };
}
