/** Errors as clients of OpenAI's protocol read them. */
import { problemFrom } from '@ragline/web/problem-from';
import { Problem } from '@ragline/web/problems';
import { CutError } from '../domain.ts';
import { ModelError, type ModelErrorCode } from '../model/model.ts';

type Told = { message: string; type?: string; param?: string | null; code?: string | null };

export class OpenAiError extends Error {
  override readonly name = 'OpenAiError';
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly told: Required<Told>;

  constructor(status: number, told: Told, headers: Record<string, string> = {}, options?: ErrorOptions) {
    super(told.message, options);
    this.status = status;
    this.headers = headers;
    this.told = {
      type: status < 500 ? 'invalid_request_error' : 'server_error',
      param: null,
      code: null,
      ...told,
    };
  }
}

// Asking again at once cannot help, and the official client would.
const notAgain = { 'x-should-retry': 'false' };

const ofModel: Record<ModelErrorCode, [status: number, code: string, headers?: Record<string, string>]> = {
  model_unavailable: [503, 'model_unavailable', { 'retry-after': '5' }],
  model_stalled: [503, 'model_stalled', { 'retry-after': '5' }],
  model_refused: [502, 'model_refused', notAgain],
  content_refused: [400, 'content_filter'],
  context_too_long: [400, 'context_length_exceeded'],
};

/** Whatever was thrown; a fault of ours tells nothing of itself. */
export function openAiErrorFrom(error: unknown): OpenAiError {
  if (error instanceof OpenAiError) return error;
  if (error instanceof ModelError) {
    const [status, code, headers] = ofModel[error.code];
    const param = code === 'context_length_exceeded' ? 'messages' : null;
    return new OpenAiError(status, { message: error.message, code, param }, headers, { cause: error });
  }
  if (error instanceof CutError) {
    return new OpenAiError(504, { message: 'The answer took too long', code: 'timeout' }, notAgain, {
      cause: error,
    });
  }
  return fromProblem(error instanceof Problem ? error : problemFrom(error), error);
}

function fromProblem({ status, code, title, detail, headers }: Problem, cause: unknown): OpenAiError {
  const message = detail ?? title;
  switch (code) {
    case 'unauthenticated':
      return new OpenAiError(
        401,
        { message, type: 'authentication_error', code: 'invalid_api_key' },
        headers,
      );
    case 'budget_exhausted':
      return new OpenAiError(429, { message, type: 'insufficient_quota', code }, { ...headers, ...notAgain });
    case 'rate_limited':
      return new OpenAiError(
        429,
        { message, type: 'rate_limit_error', code: 'rate_limit_exceeded' },
        headers,
      );
    default:
      return new OpenAiError(status, { message, code }, headers, { cause });
  }
}
