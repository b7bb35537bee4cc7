/** W3C trace context: ids and the `traceparent` header, without any SDK. */
import { randomFillSync } from 'node:crypto';

export type TraceContext = { traceId: string; spanId: string; traceFlags: number };

const noTrace = '0'.repeat(32);
const noSpan = '0'.repeat(16);
// A later version may append fields after the flags; version ff is forbidden (W3C Trace Context, 3.2.2).
const shape = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent`; undefined when it is none, so that a caller's mistake starts a new trace. */
export function parseTraceparent(header: string | undefined): TraceContext | undefined {
  if (header === undefined || header.length > 512) return undefined;
  const [, version, traceId = noTrace, spanId = noSpan, flags = '00', rest] = shape.exec(header) ?? [];
  if (version === undefined || (version === '00' && rest !== undefined)) return undefined;
  if (traceId === noTrace || spanId === noSpan) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${traceFlags & 1 ? '01' : '00'}`;
}

/** A place in the parent's trace, or in a new one. */
export function newTraceContext(parent: TraceContext | undefined): TraceContext {
  return {
    traceId: parent?.traceId ?? randomHex(16),
    spanId: randomHex(8),
    traceFlags: parent?.traceFlags ?? 0,
  };
}

// Filled in bulk: a call into the random source for every span costs more than the span.
const pool = Buffer.alloc(4_096);
let used = pool.length;

function randomHex(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + bytes);
  used += bytes;
  // All zero means "none" in the header.
  return /[^0]/.test(hex) ? hex : randomHex(bytes);
}
