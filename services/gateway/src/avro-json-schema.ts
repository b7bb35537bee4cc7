/** JSON Schema of an Avro type, as decoded values look in JSON: what sockets carry as `data`. */
import type { Json } from './openapi.ts';

/** @param types names of records that were met before, by their Avro names */
export function jsonSchemaOf(type: unknown, types: Map<string, unknown> = new Map()): Json {
  if (Array.isArray(type)) return union(type, types);
  if (typeof type === 'string') return named(type, types);
  if (!isObject(type)) throw new TypeError('this is no Avro type');
  const logical = logicalSchema(type);
  if (logical) return logical;
  switch (type.type) {
    case 'record':
      return record(type, types);
    case 'array':
      return { type: 'array', items: jsonSchemaOf(type.items, types) };
    case 'map':
      return { type: 'object', additionalProperties: jsonSchemaOf(type.values, types) };
    case 'enum':
      return { type: 'string', enum: type.symbols };
    default:
      return jsonSchemaOf(type.type, types);
  }
}

const primitives: Record<string, Json> = {
  null: { type: 'null' },
  boolean: { type: 'boolean' },
  int: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  long: { type: 'integer' },
  float: { type: 'number' },
  double: { type: 'number' },
  bytes: { type: 'string' },
  string: { type: 'string' },
};

function named(name: string, types: Map<string, unknown>): Json {
  const primitive = primitives[name];
  if (primitive) return primitive;
  const known = types.get(name);
  if (known === undefined) throw new TypeError(`Avro type ${name} is not known`);
  return jsonSchemaOf(known, types);
}

function union(branches: unknown[], types: Map<string, unknown>): Json {
  const schemas = branches.map((branch) => jsonSchemaOf(branch, types));
  return schemas.length === 1 ? (schemas[0] ?? {}) : { anyOf: schemas };
}

function record(type: Json, types: Map<string, unknown>): Json {
  if (typeof type.name === 'string') types.set(type.name, type);
  const fields = Array.isArray(type.fields) ? type.fields.filter(isObject) : [];
  const properties = fields.map((field): [string, Json] => {
    const schema = jsonSchemaOf(field.type, types);
    return [
      String(field.name),
      typeof field.doc === 'string' ? { ...schema, description: field.doc } : schema,
    ];
  });
  return {
    type: 'object',
    ...(typeof type.doc === 'string' ? { description: type.doc } : {}),
    properties: Object.fromEntries(properties),
    // A decoded value has every field of its schema: what a writer left out comes with its default.
    required: fields.map((field) => String(field.name)),
  };
}

function logicalSchema(type: Json): Json | undefined {
  switch (type.logicalType) {
    case 'timestamp-micros':
      return { type: 'string', format: 'date-time' };
    case 'uuid':
      return { type: 'string', format: 'uuid' };
    case 'json':
      return { type: 'object' };
    case 'one-of':
      // Not an enum: a writer of tomorrow may know more of them.
      return { type: 'string', examples: type.values };
    default:
      return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
