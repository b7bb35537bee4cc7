/**
 * Traces by manual spans. Without an endpoint nothing is recorded or sent, but ids are real and travel on,
 * so that logs of one request can be found in all services.
 */
import {
  type Attributes,
  type ContextManager,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { ATTR_SERVICE_INSTANCE_ID, ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import { currentContext, runWithContext, type Scope } from './context.ts';
import { formatTraceparent, newTraceContext, parseTraceparent } from './traceparent.ts';

export type { Span };
export type SpanOptions = {
  kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  attributes?: Attributes;
  /** A `traceparent` to go on from; without a valid one, the active span's. */
  parent?: string | undefined;
  /** `traceparent`s of other traces that this work belongs to, such as the records of a batch. */
  links?: readonly string[];
};

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

let tracer: Tracer | undefined;

/**
 * Starts sending spans to an OTLP/HTTP collector; with no endpoint it does nothing.
 *
 * @param endpoint the collector's base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT (`/v1/traces` is appended)
 */
export function startTracing(options: {
  service: string;
  instance?: string | undefined;
  endpoint?: string | undefined;
}) {
  const { service, instance, endpoint } = options;
  if (endpoint === undefined || endpoint === '') return { stop: async () => {} };
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: 1_500,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: service,
      [ATTR_SERVICE_INSTANCE_ID]: instance ?? `${service}-${process.pid}`,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1_000 })],
  });
  tracer = provider.getTracer('ragline');
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(contextManager);

  return {
    async stop() {
      tracer = undefined;
      trace.disable();
      context.disable();
      // The collector may be away; what it did not take is lost, and nobody waits for it.
      await provider.shutdown().catch(() => {});
    },
  };
}

/** Opens a span; the caller ends it and runs its work in scopeOf(span). Prefer withSpan. */
export function openSpan(
  name: string,
  { kind = 'internal', attributes, parent, links }: SpanOptions = {},
): Span {
  const remote = parseTraceparent(parent);
  const active = currentContext().otel;
  if (tracer === undefined) {
    return trace.wrapSpanContext(newTraceContext(remote ?? (active && trace.getSpanContext(active))));
  }
  const within = remote
    ? trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true })
    : (active ?? ROOT_CONTEXT);
  return tracer.startSpan(
    name,
    { kind: kinds[kind], ...(attributes ? { attributes } : {}), links: (links ?? []).flatMap(linkTo) },
    within,
  );
}

/** The context fields under which a span is the active one. */
export function scopeOf(span: Span): Scope {
  return {
    trace_id: span.spanContext().traceId,
    otel: trace.setSpan(currentContext().otel ?? ROOT_CONTEXT, span),
  };
}

/** Runs fn inside a span: ends it, and marks it failed when fn throws. */
export async function withSpan<T>(
  name: string,
  options: SpanOptions,
  fn: (span: Span) => Promise<T>,
): Promise<T> {
  const span = openSpan(name, options);
  return runWithContext(scopeOf(span), async () => {
    try {
      return await fn(span);
    } catch (error) {
      failSpan(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

export function failSpan(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({
    code: SpanStatusCode.ERROR,
    ...(error instanceof Error ? { message: error.message } : {}),
  });
}

/** The `traceparent` to send on: the active span's, or a new one. */
export function currentTraceparent(): string {
  const active = currentContext().otel;
  const span = active && trace.getSpanContext(active);
  return formatTraceparent(span ?? newTraceContext(undefined));
}

/** The `traceparent` of one span. */
export function traceparentOf(span: Span): string {
  return formatTraceparent(span.spanContext());
}

function linkTo(traceparent: string): Link[] {
  const found = parseTraceparent(traceparent);
  return found ? [{ context: { ...found, isRemote: true } }] : [];
}

// The API's context lives in our own scope, so code that uses @opentelemetry/api directly sees our spans.
const contextManager: ContextManager = {
  active: () => currentContext().otel ?? ROOT_CONTEXT,
  with: (otel, fn, thisArg, ...args) => runWithContext({ otel }, () => fn.call(thisArg, ...args)),
  bind: (_otel, target) => target,
  enable: () => contextManager,
  disable: () => contextManager,
};
