/** Errors as clients see them: application/problem+json (RFC 9457). */
import type { ServerResponse } from 'node:http';
import { openAiForm, readsOpenAiForm } from './openai-form.ts';

/** Every code with its status and title; codes keep their meaning, new ones may be added. */
export const problemCodes = {
  malformed: [400, 'The request cannot be read'],
  unauthenticated: [401, 'Not signed in'],
  forbidden: [403, 'Not allowed'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'This method is not offered here'],
  timeout: [408, 'The request took too long to arrive'],
  conflict: [409, 'In conflict with the present state'],
  busy: [409, 'Someone else is changing this'],
  already_handled: [409, 'Already handled'],
  illegal_transition: [409, 'This change of state is not possible'],
  price_changed: [409, 'The price has changed'],
  request_in_progress: [409, 'The same request is being handled'],
  not_available: [409, 'Not available'],
  version_mismatch: [412, 'Changed by someone else in the meantime'],
  too_large: [413, 'Too large'],
  unsupported_media_type: [415, 'This media type is not read here'],
  invalid: [422, 'Some fields are not valid'],
  idempotency_key_reused: [422, 'The idempotency key belongs to another request'],
  url_refused: [422, 'This address is not called'],
  promotion_refused: [422, 'The promotion does not apply'],
  precondition_required: [428, 'If-Match is required'],
  rate_limited: [429, 'Too many requests'],
  budget_exhausted: [429, 'The budget is used up'],
  headers_too_large: [431, 'The header fields are too large'],
  internal: [500, 'Something went wrong on our side'],
  bad_gateway: [502, 'The service behind gave no valid answer'],
  unavailable: [503, 'Not available at the moment'],
  outbox_backlog: [503, 'Too many events wait to be published'],
  gateway_timeout: [504, 'The service behind took too long'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof problemCodes;
export type FieldError = { path: string; message: string };
export type ProblemExtra = {
  errors?: readonly FieldError[];
  headers?: Record<string, string>;
  /** Further members of the body, such as the new quote of a price_changed. */
  members?: Record<string, unknown>;
  /** For our logs only; never shown. */
  cause?: unknown;
};

/** An error that a client may see as it is; made by problem(). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Record<string, string>;
  readonly members: Record<string, unknown>;

  constructor(code: ProblemCode, detail: string | undefined, extra: ProblemExtra) {
    super(detail ?? problemCodes[code][1], extra.cause === undefined ? undefined : { cause: extra.cause });
    [this.status, this.title] = problemCodes[code];
    this.code = code;
    this.detail = detail;
    this.errors = extra.errors;
    this.headers = { ...fixedHeaders(code, this.status), ...extra.headers };
    this.members = extra.members ?? {};
  }
}

/** An error with its code; status and title follow from it. `detail` is read by the client. */
export function problem(code: ProblemCode, detail?: string, extra: ProblemExtra = {}): Problem {
  // A problem is an answer: most are the caller's doing, and nobody reads the stack of a 404.
  const { stackTraceLimit } = Error;
  if (problemCodes[code][0] < 500) Error.stackTraceLimit = 0;
  try {
    return new Problem(code, detail, extra);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

export type ProblemBody = {
  type: string;
  title: string;
  status: number;
  detail?: string;
  code: ProblemCode;
  request_id: string;
  errors?: readonly FieldError[];
};

export function problemBody(from: Problem, requestId: string): ProblemBody & Record<string, unknown> {
  return {
    ...from.members,
    type: `urn:ragline:problem:${from.code}`,
    title: from.title,
    status: from.status,
    ...(from.detail === undefined ? {} : { detail: from.detail }),
    code: from.code,
    request_id: requestId,
    ...(from.errors === undefined ? {} : { errors: from.errors }),
  };
}

/**
 * Answers with a problem, below `/v1/openai` in the form that is read there; an answer already begun is cut off, so
 * that nobody takes it for whole.
 */
export function sendProblem(res: ServerResponse, from: Problem, requestId: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  // What a handler had set for its own answer says nothing about this one.
  for (const name of ['etag', 'last-modified', 'content-length', 'content-encoding', 'location'])
    res.removeHeader(name);
  const form = readsOpenAiForm(res.req.url) ? openAiForm(from) : undefined;
  const body = Buffer.from(JSON.stringify(form?.body ?? problemBody(from, requestId)));
  res.statusCode = from.status;
  for (const [name, value] of Object.entries({ ...from.headers, ...form?.headers }))
    res.setHeader(name, value);
  res.setHeader('content-type', form === undefined ? 'application/problem+json' : 'application/json');
  res.setHeader('content-length', body.length);
  res.setHeader('cache-control', 'no-store');
  res.end(body);
}

function fixedHeaders(code: ProblemCode, status: number): Record<string, string> {
  if (code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="ragline"' };
  return status === 429 || status === 503 ? { 'retry-after': '1' } : {};
}
