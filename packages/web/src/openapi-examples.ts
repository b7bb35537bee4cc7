/** Examples of bodies, put together from those of their schemas: what a page shows is what its items are. */
import { createHash } from 'node:crypto';

type Json = { [name: string]: unknown };

/** Gives every JSON body of the document that has a schema an example, as far as its schema tells one. */
export function addExamples<Document extends object>(document: Document): Document {
  // As it will be read: without what is undefined, and without what is shared.
  const copy = JSON.parse(JSON.stringify(document));
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    if (!isObject(value)) return;
    for (const [name, inner] of Object.entries(value)) {
      if (name === 'content' && isObject(inner)) addTo(inner['application/json'], copy);
      visit(inner);
    }
  };
  visit(copy.paths);
  return copy;
}

function addTo(media: unknown, document: Json): void {
  if (!isObject(media) || media.example !== undefined || media.examples !== undefined) return;
  const example = exampleOf(media.schema, document);
  if (example !== undefined) media.example = example;
}

/**
 * A value that fits the schema: its own example where it has one, else one of its parts.
 *
 * @param name of the field, which makes ids of different fields different
 * @returns undefined when some required part tells none
 */
export function exampleOf(given: unknown, document: Json, name = ''): unknown {
  const schema = resolved(given, document);
  if (!isObject(schema)) return undefined;
  const [own] = Array.isArray(schema.examples) ? schema.examples : [schema.example];
  if (own !== undefined) return own;
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  const branches = [schema.anyOf, schema.oneOf].find(Array.isArray);
  if (branches) return firstOf(branches, (branch) => exampleOf(branch, document, name));
  if (Array.isArray(schema.allOf)) {
    const parts = schema.allOf.map((part) => exampleOf(part, document, name));
    return parts.every(isObject) ? Object.assign({}, ...parts) : undefined;
  }
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  return firstOf(types, (type) => byType(type, schema, document, name));
}

function byType(type: unknown, schema: Json, document: Json, name: string): unknown {
  switch (type) {
    case 'object':
      return objectOf(schema, document);
    case 'array': {
      const item = exampleOf(schema.items, document, name);
      return item === undefined ? undefined : [item];
    }
    case 'boolean':
      return true;
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? Math.max(1, schema.minimum) : 1;
    case 'string':
      return byFormat(schema.format, name);
    default:
      return undefined;
  }
}

function objectOf(schema: Json, document: Json): Json | undefined {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const entries: [string, unknown][] = [];
  for (const [name, property] of Object.entries(properties)) {
    const example = exampleOf(property, document, name) ?? (takesNull(property, document) ? null : undefined);
    if (example !== undefined) entries.push([name, example]);
    else if (required.includes(name)) return undefined;
  }
  return Object.fromEntries(entries);
}

function byFormat(format: unknown, name: string): string | undefined {
  if (format === 'date-time') return '2026-11-23T09:30:00.000Z';
  if (format !== 'uuid') return undefined;
  const digits = createHash('sha256').update(name).digest('hex');
  return `0199d2f4-${digits.slice(0, 4)}-7${digits.slice(4, 7)}-9${digits.slice(7, 10)}-${digits.slice(10, 22)}`;
}

function takesNull(given: unknown, document: Json): boolean {
  const schema = resolved(given, document);
  if (!isObject(schema)) return false;
  if (Array.isArray(schema.type)) return schema.type.includes('null');
  return (
    schema.type === 'null' ||
    (Array.isArray(schema.anyOf) && schema.anyOf.some((it) => takesNull(it, document)))
  );
}

function resolved(schema: unknown, document: Json): unknown {
  if (!isObject(schema) || typeof schema.$ref !== 'string') return schema;
  const found = schema.$ref
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), document);
  return resolved(found, document);
}

function firstOf<T>(values: readonly T[], find: (value: T) => unknown): unknown {
  for (const value of values) {
    const found = find(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
