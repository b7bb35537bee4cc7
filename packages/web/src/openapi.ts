/** The OpenAPI 3.2 document of a service, from its routes. */
import { OpenAPIRegistry, OpenApiGeneratorV32, type RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ApiOptions, Credential, RouteDefinition } from './api.ts';
import { addExamples } from './openapi-examples.ts';
import { sharedComponents } from './openapi-problems.ts';
import { operationIdOf, responsesOf } from './openapi-responses.ts';

/** Of it 3.2: that version can say what the items of a stream are. */
export const openApiVersion = '3.2.0';

export const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token from `POST /v1/auth/login`.',
  },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'From `POST /v1/auth/tickets`: good once, within 30 s, where no header can be set.',
  },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'ragline_events',
    description:
      'Set by a stream that a ticket opened, for its own path alone, so that a plain `EventSource` comes back.',
  },
} as const satisfies Record<Credential, object>;

export function createDocument(options: ApiOptions, definitions: readonly RouteDefinition[]): object {
  const registry = new OpenAPIRegistry();
  for (const definition of definitions) registry.registerPath(pathOf(definition));
  const document = new OpenApiGeneratorV32(registry.definitions).generateDocument({
    openapi: openApiVersion,
    info: {
      title: options.title,
      version: options.version ?? '1.0.0',
      ...(options.description ? { description: options.description } : {}),
    },
  });
  const { schemas = {}, ...others } = document.components ?? {};
  const components = {
    ...others,
    ...sharedComponents,
    securitySchemes,
    schemas: { ...schemas, ...sharedComponents.schemas },
  };
  return addExamples({ ...document, components });
}

function pathOf(definition: RouteDefinition): RouteConfig {
  const { method, path, summary, description, tags, auth, params, query, headers } = definition;
  const body = definition.body ?? definition.ownBody;
  const roles = auth === 'none' ? [] : typeof auth === 'string' ? [auth] : auth;
  const about = [description, roles.length > 0 ? `Roles: ${roles.join(', ')}.` : undefined]
    .filter(Boolean)
    .join('\n\n');
  return {
    method,
    path,
    operationId: operationIdOf(method, path),
    summary,
    ...(about ? { description: about } : {}),
    ...(tags ? { tags: [...tags] } : {}),
    security: credentialsOf(definition).map((name) => ({ [name]: [] })),
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
    responses: responsesOf(definition),
  };
}

function credentialsOf({ auth, credentials }: RouteDefinition): readonly Credential[] {
  return credentials ?? (auth === 'none' ? [] : ['bearer']);
}
