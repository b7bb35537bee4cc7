/** What an operation answers, for its OpenAPI document: its own responses, its headers, links and refusals. */
import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { LinkSpec, ResponseSpec, RouteDefinition } from './api.ts';
import { readsOpenAiForm } from './openai-form.ts';
import { openAiErrors, problemResponse, problemResponses, reference } from './openapi-problems.ts';
import { type ProblemCode, problemCodes } from './problems.ts';

type Responses = RouteConfig['responses'];
type Response = Responses[string];

/** The name of an operation, such as `get_v1_orders_id`. */
export const operationIdOf = (method: string, path: string): string =>
  `${method.toLowerCase()}${path.replace(/[^a-z0-9]+/gi, '_')}`.replace(/_$/, '');

export function responsesOf(definition: RouteDefinition): Responses {
  const codes = refusalsOf(definition);
  const own = Object.entries(definition.responses).map(([status, given]) => {
    const spec: ResponseSpec = given === null ? {} : given instanceof z.ZodType ? { schema: given } : given;
    return [status, responseOf(Number(status), spec, codes, definition)];
  });
  const refusals = readsOpenAiForm(definition.path) ? openAiErrors(codes) : problemResponses(codes);
  return { ...refusals, ...Object.fromEntries(own) };
}

function responseOf(
  status: number,
  spec: ResponseSpec,
  codes: readonly ProblemCode[],
  definition: RouteDefinition,
): Response {
  const { schema, example, alsoAs, links, contentType = 'application/json' } = spec;
  const description = spec.description ?? (status < 300 ? 'Done.' : 'See `code`.');
  if (status >= 400 && schema === undefined) {
    const those = codes.filter((code) => problemCodes[code][0] === status);
    return problemResponse(status, those, description);
  }
  const media = { ...(schema ? { schema } : {}), ...(example === undefined ? {} : { example }) };
  const content = {
    ...(schema || spec.contentType ? { [contentType]: media } : {}),
    ...alsoAs,
  };
  return {
    description,
    headers: headersOf(status, spec, definition),
    ...(Object.keys(content).length > 0 ? { content } : {}),
    ...(links ? { links: Object.fromEntries(Object.entries(links).map(linkOf)) } : {}),
  };
}

/** As they are written, although their case means nothing. */
const headerNames: Record<string, string> = {
  etag: 'ETag',
  location: 'Location',
  'retry-after': 'Retry-After',
  'stream-position': 'Stream-Position',
};

function headersOf(status: number, { headers = {} }: ResponseSpec, definition: RouteDefinition) {
  const own = Object.entries(headers).map(([name, description]) => [
    headerNames[name.toLowerCase()] ?? name,
    { description, schema: { type: 'string' as const } },
  ]);
  const isReplayable = status < 300 && 'idempotency-key' in (definition.headers?.shape ?? {});
  return {
    'X-Request-Id': reference('headers', 'X-Request-Id'),
    ...(isReplayable ? { 'Idempotent-Replayed': reference('headers', 'Idempotent-Replayed') } : {}),
    ...Object.fromEntries(own),
  };
}

function linkOf([name, { to, parameters, description }]: [string, LinkSpec]) {
  const [method = '', path = ''] = to.split(' ');
  return [
    name,
    {
      operationId: operationIdOf(method, path),
      ...(parameters ? { parameters } : {}),
      ...(description ? { description } : {}),
    },
  ];
}

/** What any such route may refuse with, and what the route says for itself. */
function refusalsOf(definition: RouteDefinition): ProblemCode[] {
  const { auth, credentials, params, query, headers, body, problems = [] } = definition;
  const codes: ProblemCode[] = ['malformed'];
  if (auth !== 'none' || credentials) codes.push('unauthenticated', 'forbidden');
  if (params) codes.push('not_found');
  if (body || definition.ownBody) codes.push('timeout', 'too_large', 'unsupported_media_type');
  if (query || body || headers) codes.push('invalid');
  const named = Object.keys(headers?.shape ?? {});
  if (named.includes('if-match')) codes.push('version_mismatch');
  if (named.includes('idempotency-key')) codes.push('request_in_progress', 'idempotency_key_reused');
  return [...codes, ...problems, 'rate_limited', 'internal', 'unavailable'];
}
