/** What a reader of the OpenAPI document would miss, or be told wrongly: pure, so that each rule can be seen to bite. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

export type Json = { [name: string]: unknown };
export type Operation = { id: string; method: string; path: string; value: Json };

const methods = new Set(['get', 'post', 'put', 'patch', 'delete']);

export function operationsOf(document: Json): Operation[] {
  return Object.entries(objectAt(document, 'paths')).flatMap(([path, item]) =>
    Object.entries(isObject(item) ? item : {})
      .filter(([method]) => methods.has(method))
      .map(([method, value]) => ({
        id: `${method.toUpperCase()} ${path}`,
        ...{ method, path, value: isObject(value) ? value : {} },
      })),
  );
}

/** All faults, one a line, each with its operation. */
export function faultsOf(document: Json): string[] {
  const operations = operationsOf(document);
  const validate = validatorOf(document);
  return [
    ...repeated(operations.map(({ value }) => String(value.operationId))).map((id) => `${id} is there twice`),
    ...tagFaults(document, operations),
    ...operations.flatMap((operation) => [
      ...plainFaults(operation),
      ...parameterFaults(document, operation),
      ...mediaFaults(document, operation, validate),
      ...linkFaults(document, operation, operations),
    ]),
  ];
}

function plainFaults({ id, value }: Operation): string[] {
  const statuses = Object.keys(objectAt(value, 'responses'));
  return [
    ...(text(value.summary) ? [] : [`${id} has no summary`]),
    ...(Array.isArray(value.security) ? [] : [`${id} does not say who may`]),
    ...(statuses.some((status) => /^[23]/.test(status)) ? [] : [`${id} has no answer of success`]),
    ...(statuses.some((status) => /^4/.test(status)) ? [] : [`${id} refuses nothing`]),
  ];
}

function tagFaults(document: Json, operations: readonly Operation[]): string[] {
  const described = listAt(document, 'tags').filter(isObject);
  const used = new Set(operations.flatMap(({ value }) => listAt(value, 'tags')));
  return [
    ...described.filter((tag) => !text(tag.description)).map((tag) => `tag ${tag.name} has no description`),
    ...[...used]
      .filter((name) => !described.some((tag) => tag.name === name))
      .map((name) => `tag ${name} is new`),
    ...operations
      .filter(({ value }) => listAt(value, 'tags').length !== 1)
      .map(({ id }) => `${id} has not one tag`),
  ];
}

function parameterFaults(document: Json, { id, path, value }: Operation): string[] {
  const parameters = listAt(value, 'parameters').map((it) => resolved(document, it));
  const named = parameters.filter((it) => it.in === 'path').map(({ name }) => String(name));
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return [
    ...parameters.filter((it) => !text(it.description)).map((it) => `${id}: ${it.name} has no description`),
    ...inPath.filter((name) => !named.includes(name)).map((name) => `${id}: {${name}} is not described`),
  ];
}

type Validate = (schema: unknown, value: unknown) => string | undefined;

function mediaFaults(document: Json, { id, value }: Operation, validate: Validate): string[] {
  const answers = Object.entries(objectAt(value, 'responses')).map(([status, response]) => [
    `${id} ${status}`,
    resolved(document, response),
  ]);
  const bodies: [string, Json][] = [
    [`${id} body`, objectAt(value, 'requestBody')],
    ...(answers as [string, Json][]),
  ];
  return bodies.flatMap(([where, body]) => [
    ...(body.description === undefined && !where.endsWith('body') ? [`${where} has no description`] : []),
    ...Object.entries(objectAt(body, 'content')).flatMap(([type, media]) =>
      oneMediaFaults(document, `${where} ${type}`, type, isObject(media) ? media : {}, validate),
    ),
  ]);
}

function oneMediaFaults(
  document: Json,
  where: string,
  type: string,
  media: Json,
  validate: Validate,
): string[] {
  if (media.itemSchema !== undefined) return [];
  if (media.schema === undefined) return [`${where} has no schema`];
  if (!/json$/.test(type)) return [];
  const examples = [
    ...(media.example === undefined ? [] : [media.example]),
    ...Object.values(objectAt(media, 'examples')).map((it) => resolved(document, it).value),
  ];
  if (examples.length === 0) return [`${where} has no example`];
  return examples.flatMap((example) => {
    const fault = validate(media.schema, example);
    return fault === undefined ? [] : [`${where}: its example does not fit: ${fault}`];
  });
}

function linkFaults(document: Json, { id, value }: Operation, operations: readonly Operation[]): string[] {
  const responses = Object.values(objectAt(value, 'responses')).map((it) => resolved(document, it));
  return responses.flatMap((response) =>
    Object.entries(objectAt(response, 'links')).flatMap(([name, link]) => {
      const { operationId, parameters } = isObject(link) ? link : {};
      const target = operations.find((it) => it.value.operationId === operationId);
      if (target === undefined) return [`${id}: the link ${name} leads nowhere`];
      const known = listAt(target.value, 'parameters').map((it) => resolved(document, it).name);
      return Object.keys(isObject(parameters) ? parameters : {})
        .filter((parameter) => !known.includes(parameter))
        .map((parameter) => `${id}: the link ${name} gives ${target.id} a ${parameter}`);
    }),
  );
}

/**
 * Judges a value by a schema of the document; says what does not fit.
 *
 * @param isClosed whether a field that the document does not name is a fault too
 */
export function validatorOf(document: Json, { isClosed = false } = {}): Validate {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const base = 'https://ragline.invalid/document';
  const prepared = (schema: unknown) => (isClosed ? closed(schema) : schema);
  ajv.addSchema({
    $id: base,
    components: { schemas: prepared(objectAt(objectAt(document, 'components'), 'schemas')) },
  });
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>();
  return (schema, value) => {
    const own = JSON.stringify(prepared(schema)).replaceAll('"#/components/', `"${base}#/components/`);
    const check = compiled.get(own) ?? ajv.compile(JSON.parse(own));
    compiled.set(own, check);
    return check(value) ? undefined : ajv.errorsText(check.errors);
  };
}

/** The same schema, in which an object that says what it has may have nothing else. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isObject(schema)) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  const isOpen = !isObject(schema.properties) || schema.additionalProperties !== undefined;
  return isOpen ? inner : { ...inner, additionalProperties: false };
}

export function resolved(document: Json, value: unknown): Json {
  if (!isObject(value)) return {};
  if (typeof value.$ref !== 'string') return value;
  const path = value.$ref.replace(/^#\//, '').split('/');
  return resolved(
    document,
    path.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), document),
  );
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, at) => names.indexOf(name) !== at);
}

const text = (value: unknown): boolean => typeof value === 'string' && value.trim() !== '';

export function objectAt(value: Json, name: string): Json {
  const found = value[name];
  return isObject(found) ? found : {};
}

export function listAt(value: Json, name: string): unknown[] {
  const found = value[name];
  return Array.isArray(found) ? found : [];
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
