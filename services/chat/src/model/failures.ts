/** What a failure of an endpoint means: try again, go on to the next model, or give up. */
import { APIConnectionError, APIError } from 'openai';
import type { ModelErrorCode } from './model.ts';

export type NextStep =
  /** The same model again after a wait; `afterMs` when the endpoint named one. */
  | { kind: 'retry'; reason: string; afterMs?: number }
  /** This model will not do it. */
  | { kind: 'next_model'; code: ModelErrorCode; reason: string }
  /** No model should be asked. */
  | { kind: 'give_up'; code: ModelErrorCode; reason: string };

/** No token came in time, or no next piece: by our own clock. */
export class LateError extends Error {
  override readonly name = 'LateError';
  readonly began: boolean;

  constructor(began: boolean) {
    super(began ? 'The answer stalled' : 'No first token came in time');
    this.began = began;
  }
}

/** The connection ended before the answer did. */
export class CutError extends Error {
  override readonly name = 'CutError';
}

const tooLong = new Set(['context_length_exceeded', 'string_above_max_length', 'tokens_limit_reached']);
// Of endpoints without codes.
const saysTooLong = /\bmaximum context length\b/i;
const refused = new Set(['content_filter', 'content_policy_violation', 'moderation_blocked']);
const spent = new Set(['insufficient_quota', 'billing_hard_limit_reached']);

/** For failures before the first token. Reasons are few words and never the endpoint's text, which may quote the request. */
export function afterFailure(error: unknown): NextStep {
  if (error instanceof LateError) return { kind: 'next_model', code: 'model_unavailable', reason: 'late' };
  if (error instanceof CutError) return { kind: 'retry', reason: 'cut' };
  if (error instanceof APIConnectionError) return { kind: 'retry', reason: 'unreachable' };
  if (!(error instanceof APIError)) {
    // What fetch throws while a body is read; anything else is a fault of ours, which trying again repeats.
    if (isNetwork(error)) return { kind: 'retry', reason: 'unreachable' };
    return { kind: 'next_model', code: 'model_unavailable', reason: 'unknown' };
  }
  return afterAnswer(error);
}

function afterAnswer(error: APIError): NextStep {
  const code = codeOf(error);
  const status = error.status;
  if (refused.has(code)) return { kind: 'give_up', code: 'content_refused', reason: code };
  if (tooLong.has(code) || status === 413 || (status === 400 && saysTooLong.test(error.message)))
    return { kind: 'next_model', code: 'context_too_long', reason: 'too_long' };
  if (spent.has(code)) return { kind: 'next_model', code: 'model_unavailable', reason: code };
  // An error inside a stream has no status.
  if (status === undefined || status >= 500 || status === 408 || status === 409 || status === 429) {
    const afterMs = askedWaitMs(error.headers);
    return { kind: 'retry', reason: `status_${status ?? 0}`, ...(afterMs === undefined ? {} : { afterMs }) };
  }
  return { kind: 'next_model', code: 'model_refused', reason: `status_${status}` };
}

/** Whether a failure says nothing against the endpoint: another request would have been answered. */
export function isHarmless(error: unknown): boolean {
  if (!(error instanceof APIError)) return false;
  return error.status === 400 || error.status === 413 || error.status === 422;
}

const unknownCodes = new Set(['unsupported_parameter', 'unknown_parameter', 'extra_forbidden']);
const unknownWords =
  /\b(unsupported|not supported|unrecogni[sz]ed|unknown|unexpected)\b|\bextra (inputs|fields)\b|\bextra_forbidden\b/i;
// "The model supports at most …" is about one request, whoever sent it, and says nothing of the next.
const valueWords = /\b(too (large|long|big|many)|at most|maximum|exceed(s|ed)?|greater than|less than)\b/i;

/**
 * The parameter of `sent` that an endpoint says it does not know; undefined when it complains of something else, such as
 * a parameter's value.
 */
export function refusedParameter<P extends string>(error: unknown, sent: readonly P[]): P | undefined {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return undefined;
  if (!isUnknown(error)) return undefined;
  // Long names first: max_tokens is a part of no other, but stays so only by luck.
  const named = [...sent].sort((a, b) => b.length - a.length);
  const isAbout = (name: P) => error.param === name || new RegExp(`\\b${name}\\b`).test(error.message);
  return named.find(isAbout);
}

function isUnknown(error: APIError): boolean {
  const code = codeOf(error);
  if (unknownCodes.has(code)) return true;
  if (tooLong.has(code) || code.startsWith('invalid_value')) return false;
  return unknownWords.test(error.message) && !valueWords.test(error.message);
}

/** How long an endpoint asks to wait, in milliseconds. */
function askedWaitMs(headers: Headers | undefined): number | undefined {
  const precise = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(precise)) return precise;
  const seconds = Number(headers?.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}

/** A code that is fit for a metric; an endpoint may write anything there. */
function codeOf(error: APIError): string {
  const code = typeof error.code === 'string' ? error.code : (error.type ?? '');
  return /^[a-z_]{1,60}$/.test(code) ? code : 'unknown';
}

function isNetwork(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof TypeError || ('code' in error && typeof error.code === 'string');
}
