/** Errors as clients of OpenAI's protocol read them. */
import { UnavailableError } from '@ragline/streams/errors';
import { notAgain, openAiForm } from '@ragline/web/openai-form';
import { problemFrom } from '@ragline/web/problem-from';
import { Problem, problem } from '@ragline/web/problems';
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
  if (error instanceof UnavailableError) return fromProblem(problem('unavailable'), error);
  return fromProblem(error instanceof Problem ? error : problemFrom(error), error);
}

function fromProblem(from: Problem, cause: unknown): OpenAiError {
  const { body, headers } = openAiForm(from);
  return new OpenAiError(from.status, body.error, { ...from.headers, ...headers }, { cause });
}
