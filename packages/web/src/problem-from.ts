/** Makes a problem of whatever was thrown: never a stack, an SQL text or a library's message to the client. */
import { Problem, type ProblemCode, problem } from './problems.ts';

// By http-errors' `type`, as body-parser sets it.
const parserCodes: Record<string, ProblemCode> = {
  'entity.parse.failed': 'malformed',
  'entity.verify.failed': 'malformed',
  'request.aborted': 'malformed',
  'request.size.invalid': 'malformed',
  'entity.too.large': 'too_large',
  'encoding.unsupported': 'unsupported_media_type',
  'charset.unsupported': 'unsupported_media_type',
};

const details: Partial<Record<ProblemCode, string>> = {
  malformed: 'The body is not valid JSON.',
  too_large: 'The body exceeds the limit.',
  unsupported_media_type: 'Send the body as application/json in UTF-8, not compressed.',
};

const statusCodes = new Map<number, ProblemCode>([
  [400, 'malformed'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [405, 'method_not_allowed'],
  [408, 'timeout'],
  [413, 'too_large'],
  [415, 'unsupported_media_type'],
  [429, 'rate_limited'],
]);

// A part that is away or overloaded: connection errors, and Postgres' classes 08, 40, 53, 57.
const awayCode =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_\w+|breaker_\w+|unavailable|(08|40|53|57)[0-9A-Z]{3})$/;
// Postgres' class 22: a value that the database cannot hold. A schema let it through.
const dataCode = /^22[0-9A-Z]{3}$/;

export function problemFrom(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (!(error instanceof Error)) return problem('internal', undefined, { cause: error });

  const type = 'type' in error && typeof error.type === 'string' ? error.type : '';
  const parserCode = Object.hasOwn(parserCodes, type) ? parserCodes[type] : undefined;
  if (parserCode !== undefined) {
    // Not read to its end: the rest of the body must not be taken for the next request.
    const headers: Record<string, string> = parserCode === 'too_large' ? { connection: 'close' } : {};
    return problem(parserCode, details[parserCode], { cause: error, headers });
  }

  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (awayCode.test(code) || isLostConnection(error))
    return problem('unavailable', undefined, { cause: error });
  // lock_not_available: somebody else holds the row for longer than a caller should wait.
  if (code === '55P03') return problem('busy', undefined, { cause: error, headers: { 'retry-after': '1' } });
  if (dataCode.test(code))
    return problem('invalid', 'A value is beyond what can be stored.', { cause: error });

  const status = 'status' in error && typeof error.status === 'number' ? error.status : 500;
  const statusCode = statusCodes.get(status);
  // Only errors that libraries mean for the client have `expose` (http-errors).
  if (statusCode !== undefined && 'expose' in error) return problem(statusCode, undefined, { cause: error });
  if (error instanceof URIError) return problem('malformed', 'The path is not valid.', { cause: error });
  return problem('internal', undefined, { cause: error });
}

// pg gives these no code: no connection to be had, one that broke, and the statement after it broke.
function isLostConnection(error: Error): boolean {
  return /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error)/.test(
    error.message,
  );
}
