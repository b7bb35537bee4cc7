/**
 * What is known about the work at hand (a request, a record), for whoever logs or calls on.
 *
 * One AsyncLocalStorage serves logs and traces alike: a second one would be paid by every request.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context as OtelContext } from '@opentelemetry/api';

export type ContextFields = {
  request_id?: string;
  trace_id?: string;
  tenant_id?: string;
  user_id?: string;
};

/** The fields and the active OpenTelemetry context; only tracing.ts looks at the latter. */
export type Scope = ContextFields & { otel?: OtelContext };

const storage = new AsyncLocalStorage<Scope>();
const nothing: Readonly<Scope> = Object.freeze({});

/** Runs fn with these fields laid over those already known. */
export function runWithContext<T>(fields: Scope, fn: () => T): T {
  return storage.run({ ...storage.getStore(), ...fields }, fn);
}

/** The fields of the work at hand; empty outside of any. */
export function currentContext(): Readonly<Scope> {
  return storage.getStore() ?? nothing;
}

/**
 * Adds what became known later, such as the tenant once the token is verified.
 *
 * Changes the scope in place: a scope of its own for each would cost every request one more run.
 * Without a scope it does nothing.
 */
export function addToContext(fields: ContextFields): void {
  const scope = storage.getStore();
  if (scope !== undefined) Object.assign(scope, fields);
}
