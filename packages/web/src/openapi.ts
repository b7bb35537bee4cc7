/** The OpenAPI 3.1 document of a service, from its routes. */
import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { ApiOptions, ResponseSpec, RouteDefinition } from './api.ts';
import { type ProblemCode, problemCodes } from './problems.ts';

const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: z.string().meta({ description: 'Stable; decide by this.' }),
    request_id: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'An error (RFC 9457).' });

export function createDocument(options: ApiOptions, definitions: readonly RouteDefinition[]): object {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token from `POST /v1/auth/login`.',
  });
  for (const definition of definitions) registry.registerPath(pathOf(definition));
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: options.title,
      version: options.version ?? '1.0.0',
      ...(options.description ? { description: options.description } : {}),
    },
  });
}

function pathOf(definition: RouteDefinition): RouteConfig {
  const { method, path, summary, description, tags, auth, params, query, headers, body, responses } =
    definition;
  const roles = auth === 'none' ? [] : typeof auth === 'string' ? [auth] : auth;
  const about = [description, roles.length > 0 ? `Roles: ${roles.join(', ')}.` : undefined]
    .filter(Boolean)
    .join('\n\n');
  return {
    method,
    path,
    operationId: `${method}${path.replace(/[^a-z0-9]+/gi, '_')}`.replace(/_$/, ''),
    summary,
    ...(about ? { description: about } : {}),
    ...(tags ? { tags: [...tags] } : {}),
    security: auth === 'none' ? [] : [{ bearer: [] }],
    request: {
      ...(params ? { params } : {}),
      ...(query ? { query } : {}),
      ...(headers ? { headers } : {}),
      ...(body
        ? {
            body: {
              content: { 'application/json': { schema: body } },
              required: !body.safeParse(undefined).success,
            },
          }
        : {}),
    },
    responses: {
      ...problemResponses(definition),
      ...Object.fromEntries(Object.entries(responses).map(responseOf)),
    },
  };
}

function responseOf([status, given]: [string, z.ZodType | ResponseSpec | null]): [
  string,
  RouteConfig['responses'][string],
] {
  const spec: ResponseSpec = given === null ? {} : given instanceof z.ZodType ? { schema: given } : given;
  const description = spec.description ?? (Number(status) < 300 ? 'Done.' : 'See `code`.');
  const schema = spec.schema ?? (Number(status) >= 400 ? problemSchema : undefined);
  const contentType =
    spec.contentType ?? (Number(status) >= 400 ? 'application/problem+json' : 'application/json');
  const content = schema || spec.contentType ? { content: { [contentType]: schema ? { schema } : {} } } : {};
  const headers = Object.entries(spec.headers ?? {}).map(
    ([name, text]) => [name, { description: text, schema: { type: 'string' as const } }] as const,
  );
  return [
    status,
    { description, ...content, ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}) },
  ];
}

/** The problems that any such route may answer with; what is peculiar to one stands in its `responses`. */
function problemResponses({ auth, params, query, headers, body }: RouteDefinition): RouteConfig['responses'] {
  const codes: ProblemCode[] = ['malformed', 'rate_limited', 'internal', 'unavailable'];
  if (auth !== 'none') codes.push('unauthenticated', 'forbidden');
  if (params) codes.push('not_found');
  if (query || body || headers) codes.push('invalid');
  if (body) codes.push('too_large', 'unsupported_media_type', 'timeout');
  return Object.fromEntries(
    codes
      .map((code) => problemCodes[code])
      .map(([status, title]) => [
        String(status),
        { description: title, content: { 'application/problem+json': { schema: problemSchema } } },
      ]),
  );
}
