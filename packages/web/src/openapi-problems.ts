/** Problems in an OpenAPI document: each code once, and by reference from the operations. */
import { openAiForm } from './openai-form.ts';
import { type ProblemCode, problem, problemBody, problemCodes } from './problems.ts';

export const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

const isCode = (text: string): text is ProblemCode => text in problemCodes;
const allCodes = Object.keys(problemCodes).filter(isCode);
const titleOf = (code: ProblemCode) => `\`${code}\`: ${problemCodes[code][1]}.`;
const codesOf = (status: number) => allCodes.filter((code) => problemCodes[code][0] === status);

function content(codes: readonly ProblemCode[]) {
  const schema = reference('schemas', 'Problem');
  const examples = Object.fromEntries(codes.map((code) => [code, reference('examples', code)]));
  return { 'application/problem+json': { schema, examples } };
}

function headersOf(status: number) {
  // These say when to come back.
  const isWait = status === 429 || status === 503;
  return {
    'X-Request-Id': reference('headers', 'X-Request-Id'),
    ...(isWait ? { 'Retry-After': reference('headers', 'Retry-After') } : {}),
    ...(status === 412 ? { ETag: reference('headers', 'ETag') } : {}),
  };
}

const byStatus = (codes: readonly ProblemCode[]) =>
  [...Map.groupBy(new Set(codes), (code) => problemCodes[code][0])] as const;

/** A refusal in words of its own. Without codes: all of that status. */
export function problemResponse(status: number, codes: readonly ProblemCode[], description: string) {
  const named = codes.length > 0 ? codes : codesOf(status);
  return { description, headers: headersOf(status), content: content(named) };
}

/** The refusals by these codes, by status: a reference where a status has one code, else a response with all. */
export function problemResponses(codes: readonly ProblemCode[]) {
  const responses = byStatus(codes).map(([status, all]) => {
    const [first] = all;
    if (all.length === 1 && first !== undefined) return [status, reference('responses', first)];
    return [status, problemResponse(status, all, all.map(titleOf).join(' '))];
  });
  return { ...Object.fromEntries(responses), default: reference('responses', 'problem') };
}

/** The same for routes whose callers read OpenAI's form. */
export function openAiErrors(codes: readonly ProblemCode[]) {
  const responses = byStatus(codes).map(([status, all]) => {
    const examples = Object.fromEntries(all.map((code) => [code, { value: openAiForm(problem(code)).body }]));
    const schema = reference('schemas', 'OpenAiError');
    const description = `In OpenAI’s form. ${all.map((code) => problemCodes[code][1]).join('; ')}.`;
    return [
      status,
      { description, headers: headersOf(status), content: { 'application/json': { schema, examples } } },
    ];
  });
  return Object.fromEntries(responses);
}

const requestId = '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17';

function exampleOf(code: ProblemCode) {
  const errors = [{ path: 'items.0.quantity', message: 'must be at least 1' }];
  const made = problem(code, undefined, code === 'invalid' ? { errors } : {});
  return { summary: problemCodes[code][1], value: problemBody(made, requestId) };
}

const text = { type: 'string' };

/** What `problemResponses` refers to, and the headers of all answers. */
export const sharedComponents = {
  schemas: {
    Problem: {
      type: 'object',
      description: 'An error (RFC 9457). Decide by `code`: codes keep their meaning, new ones may be added.',
      required: ['type', 'title', 'status', 'code', 'request_id'],
      // Some have more to say, such as the new quote of a `price_changed`.
      additionalProperties: true,
      properties: {
        type: text,
        title: text,
        status: { type: 'integer' },
        detail: text,
        code: { ...text, description: 'Stable; decide by this.', examples: allCodes },
        request_id: {
          ...text,
          description: 'The same as the header `X-Request-Id`; name it when you ask us.',
        },
        errors: {
          type: 'array',
          description: 'What is wrong with which field; the path is in dots, an empty one is the whole.',
          items: {
            type: 'object',
            required: ['path', 'message'],
            properties: { path: text, message: text },
          },
        },
      },
    },
    OpenAiError: {
      type: 'object',
      description: 'An error as clients of OpenAI’s protocol read it.',
      required: ['error'],
      properties: {
        error: {
          type: 'object',
          required: ['message', 'type', 'param', 'code'],
          properties: {
            message: text,
            type: text,
            param: { type: ['string', 'null'] },
            code: { type: ['string', 'null'] },
          },
        },
      },
    },
  },
  examples: Object.fromEntries(allCodes.map((code) => [code, exampleOf(code)])),
  responses: {
    ...Object.fromEntries(
      allCodes.map((code) => [code, problemResponse(problemCodes[code][0], [code], titleOf(code))]),
    ),
    problem: {
      description: 'Any other problem, such as those of the way between: `bad_gateway`, `gateway_timeout`.',
      headers: headersOf(500),
      content: content(['bad_gateway', 'gateway_timeout']),
    },
  },
  headers: {
    'X-Request-Id': {
      description: 'The id of the request: the one that came with it, when that is valid, or a new one.',
      schema: text,
    },
    ETag: { description: 'The present version, in quotes.', schema: text },
    'Retry-After': { description: 'Seconds to wait before trying again.', schema: { type: 'integer' } },
    'Idempotent-Replayed': {
      description: '`true` when this is the first answer to this key again.',
      schema: { const: 'true' },
    },
  },
};
