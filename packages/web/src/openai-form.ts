/** Problems in the form that clients of OpenAI's protocol read: `{error: {message, type, param, code}}`. */
import type { Problem } from './problems.ts';

export type OpenAiForm = {
  error: { message: string; type: string; param: string | null; code: string | null };
};

// Asking again at once cannot help, and the official client would.
export const notAgain = { 'x-should-retry': 'false' };

/** Whether who asked for this target reads that form, whoever of us refuses it: the gateway, or the service behind. */
export function readsOpenAiForm(target: string | undefined): boolean {
  return target !== undefined && /^\/v1\/openai(?:[/?]|$)/.test(target);
}

export function openAiForm({ status, code, title, detail }: Problem): {
  body: OpenAiForm;
  headers: Record<string, string>;
} {
  const [type, name = code] = known[code] ?? [status < 500 ? 'invalid_request_error' : 'server_error'];
  return {
    body: { error: { message: detail ?? title, type, param: null, code: name } },
    headers: code === 'budget_exhausted' ? notAgain : {},
  };
}

// Those for which the protocol has words of its own.
const known: Partial<Record<Problem['code'], [type: string, code?: string]>> = {
  unauthenticated: ['authentication_error', 'invalid_api_key'],
  rate_limited: ['rate_limit_error', 'rate_limit_exceeded'],
  budget_exhausted: ['insufficient_quota'],
};
