/** One OpenAPI document from those of the services: kept current, the last good one of each kept. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '@ragline/runtime/logger';
import { openApiVersion } from '@ragline/web/openapi';
import { withoutUnused } from './openapi-components.ts';
import { gatewayDocument } from './openapi-own.ts';
import { streamItems, streamSchemas } from './openapi-streams.ts';
import { tagDescriptions } from './openapi-tags.ts';
import { webhookOperations } from './openapi-webhooks.ts';
import { isPublic, type ServiceName, serviceNames } from './routes.ts';
import type { Upstreams } from './upstreams.ts';

export type Json = { [name: string]: unknown };

const refreshMs = 30_000;
const documentMaxBytes = 4 * 1024 * 1024;
const fetchTimeoutMs = 5_000;

export type OpenApi = ReturnType<typeof startOpenApi>;

/** Reads the services' documents now, again every 30 s, and whenever an instance becomes ready. */
export function startOpenApi(options: {
  upstreams: Upstreams;
  log: Logger;
  onChange: (document: Json) => void;
}) {
  const { upstreams, log, onChange } = options;
  const documents = new Map<ServiceName, Json>();
  const texts = new Map<ServiceName, string>();

  async function refresh(service: ServiceName) {
    const instance = upstreams.pickReady(service);
    if (!instance) return;
    try {
      const answer = await instance.pool.request({
        path: '/openapi.json',
        method: 'GET',
        signal: AbortSignal.timeout(fetchTimeoutMs),
      });
      const text = await boundedText(answer.body);
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
      if (texts.get(service) === text) return;
      const document: unknown = JSON.parse(text);
      if (!isObject(document) || !isObject(document.paths)) throw new Error('this is no OpenAPI document');
      texts.set(service, text);
      documents.set(service, document);
      onChange(mergeDocuments(documents));
    } catch (error) {
      log.warn('openapi document not read', { upstream: instance.name, error });
    }
  }

  const refreshAll = () => void Promise.all(serviceNames.map(refresh));
  onChange(mergeDocuments(documents));
  refreshAll();
  const timer = setInterval(refreshAll, refreshMs);
  const unsubscribe = upstreams.onChange((instance) => {
    if (instance.state === 'ready') void refresh(instance.service);
  });

  return {
    versions: (): Record<string, string | undefined> =>
      Object.fromEntries([...documents].map(([service, document]) => [service, versionOf(document)])),
    stop() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}

/**
 * Joins documents: of each service the paths that can be reached from outside, their tags in lower case. A
 * component that two services define differently gets the service's name in front, and so do its references.
 */
export function mergeDocuments(documents: ReadonlyMap<ServiceName, Json>): Json {
  const paths: Json = structuredClone(objectAt(gatewayDocument, 'paths'));
  const components: { [kind: string]: Json } = structuredClone(ownComponents);
  for (const [service, document] of documents) {
    const renamed = renamedComponents(service, document, components);
    const own: unknown = rewriteReferences(document, renamed);
    if (!isObject(own)) continue;
    for (const [kind, entries] of Object.entries(objectAt(own, 'components'))) {
      if (!isObject(entries)) continue;
      const into = components[kind] ?? {};
      components[kind] = into;
      for (const [name, value] of Object.entries(entries)) {
        into[renamed.get(`#/components/${kind}/${name}`)?.split('/').at(-1) ?? name] = value;
      }
    }
    for (const [path, item] of Object.entries(objectAt(own, 'paths'))) {
      if (isPublic(service, path)) paths[path] = withPlainTags(item);
    }
  }
  for (const [path, itemSchema] of Object.entries(streamItems)) addItems(paths[path], itemSchema);
  const described = {
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    webhooks: webhookOperations(),
  };
  return {
    openapi: openApiVersion,
    info: {
      title: 'RAGline',
      version: '1.0.0',
      description,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'This origin.' }],
    tags: Object.entries(tagDescriptions)
      .filter(([name]) => JSON.stringify(described).includes(`"tags":["${name}"]`))
      .map(([name, about]) => ({ name, description: about })),
    ...described,
    components: withoutUnused(components, described),
  };
}

const description = `Orders over REST, with every step of them on sockets, server-sent events and Kafka.

Sign in with \`POST /v1/auth/login\` and send the access token as \`Authorization: Bearer …\`. Errors are problems (RFC 9457): decide by \`code\`. Lists go on with \`next_cursor\`. A POST that creates takes an \`Idempotency-Key\`: the same request again gets the first answer, for 24 h. Topics and sockets are in [/asyncapi.json](/asyncapi.json).`;

const ownComponents: { [kind: string]: Json } = {
  ...Object.fromEntries(
    Object.entries(objectAt(gatewayDocument, 'components')).map(([kind, entries]) => [
      kind,
      isObject(entries) ? entries : {},
    ]),
  ),
};
ownComponents.schemas = { ...ownComponents.schemas, ...streamSchemas() };

/** Says of each stream among a path's answers what its items are. */
function addItems(item: unknown, itemSchema: Json): void {
  for (const operation of Object.values(isObject(item) ? item : {})) {
    if (!isObject(operation)) continue;
    for (const response of Object.values(objectAt(operation, 'responses'))) {
      const media = isObject(response) ? objectAt(response, 'content')['text/event-stream'] : undefined;
      if (isObject(media)) Object.assign(media, { itemSchema });
    }
  }
}

function renamedComponents(service: ServiceName, document: Json, taken: { [kind: string]: Json }) {
  const renamed = new Map<string, string>();
  for (const [kind, entries] of Object.entries(objectAt(document, 'components'))) {
    if (!isObject(entries)) continue;
    for (const [name, value] of Object.entries(entries)) {
      const present = taken[kind]?.[name];
      if (present === undefined || isDeepStrictEqual(present, value)) continue;
      renamed.set(`#/components/${kind}/${name}`, `#/components/${kind}/${service}_${name}`);
    }
  }
  return renamed;
}

function rewriteReferences(value: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (renamed.size === 0) return value;
  if (Array.isArray(value)) return value.map((each) => rewriteReferences(each, renamed));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([name, each]) => {
    if (name === '$ref' && typeof each === 'string') return [name, renamed.get(each) ?? each];
    if (name === 'security' && Array.isArray(each)) return [name, each.map((it) => withSchemes(it, renamed))];
    return [name, rewriteReferences(each, renamed)];
  });
  return Object.fromEntries(entries);
}

/** A requirement names its schemes without a reference. */
function withSchemes(requirement: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (!isObject(requirement)) return requirement;
  const nameOf = (name: string) =>
    renamed.get(`#/components/securitySchemes/${name}`)?.split('/').at(-1) ?? name;
  return Object.fromEntries(Object.entries(requirement).map(([name, scopes]) => [nameOf(name), scopes]));
}

/** Each service writes its tags in its own way; the reader gets one list. */
function withPlainTags(item: unknown): unknown {
  if (!isObject(item)) return item;
  return Object.fromEntries(
    Object.entries(item).map(([method, operation]) => {
      if (!isObject(operation) || !Array.isArray(operation.tags)) return [method, operation];
      return [method, { ...operation, tags: operation.tags.map((tag) => String(tag).toLowerCase()) }];
    }),
  );
}

async function boundedText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop closes the connection.
    if (bytes > documentMaxBytes) throw new Error('the document is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function versionOf(document: Json): string | undefined {
  const { version } = objectAt(document, 'info');
  return typeof version === 'string' ? version : undefined;
}

function objectAt(value: Json, name: string): Json {
  const found = value[name];
  return isObject(found) ? found : {};
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
