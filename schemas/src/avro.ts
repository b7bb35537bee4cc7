/**
 * Avro types in the JSON shape: what a decoded value looks like on a socket is what it looks like in code.
 *
 * - `timestamp-micros` ↔ RFC 3339 text in UTC with milliseconds
 * - `json` (ours; to others it is a string) ↔ the object in the text
 * - `one-of` (ours; to others it is a string): refused when written outside its `values`; read as it comes,
 *   since a writer of tomorrow may know more of them
 * - unions are unwrapped, money and versions are plain numbers
 */
import avro from 'avsc';

class TimestampMicros extends avro.types.LogicalType {
  protected override _fromValue(micros: unknown): string {
    return new Date(Number(micros) / 1000).toISOString();
  }

  protected override _toValue(text: unknown): number | undefined {
    if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text)) return undefined;
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? undefined : ms * 1000;
  }

  // Which types an older timestamp may be read from.
  protected override _resolve(type: avro.Type): ((value: unknown) => string) | undefined {
    if (avro.Type.isType(type, 'long', 'int', 'logical')) return (value) => toTimestamp(value);
    return undefined;
  }
}

class JsonText extends avro.types.LogicalType {
  protected override _fromValue(text: unknown): unknown {
    return JSON.parse(String(text));
  }

  protected override _toValue(value: unknown): string | undefined {
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : undefined;
  }

  protected override _resolve(type: avro.Type): ((value: unknown) => unknown) | undefined {
    if (avro.Type.isType(type, 'string')) return (value) => JSON.parse(String(value));
    if (avro.Type.isType(type, 'logical')) return (value) => value;
    return undefined;
  }
}

class OneOf extends avro.types.LogicalType {
  // Undefined in a schema that comes back from the registry: it keeps only attributes that it knows.
  readonly #values: ReadonlySet<unknown> | undefined;

  constructor(schema: avro.Schema, options?: Parameters<typeof avro.Type.forSchema>[1]) {
    super(schema, options);
    const values = typeof schema === 'object' && 'values' in schema ? schema.values : undefined;
    this.#values = Array.isArray(values) ? new Set(values) : undefined;
  }

  protected override _fromValue(text: unknown): unknown {
    return text;
  }

  protected override _toValue(text: unknown): unknown {
    return this.#values === undefined || this.#values.has(text) ? text : undefined;
  }

  protected override _resolve(type: avro.Type): ((value: unknown) => unknown) | undefined {
    return avro.Type.isType(type, 'string', 'logical') ? (value) => value : undefined;
  }
}

/** What avsc needs to be told, also by way of the registry's client. */
export const avroOptions = {
  wrapUnions: false,
  logicalTypes: { 'timestamp-micros': TimestampMicros, json: JsonText, 'one-of': OneOf },
} as const;

/** The type of a schema given as JSON text. Throws when it is no schema. */
export function avroType(schemaText: string): avro.Type {
  // A copy: avsc keeps the names it has seen in the options it is given.
  return avro.Type.forSchema(JSON.parse(schemaText), { ...avroOptions });
}

function toTimestamp(value: unknown): string {
  return typeof value === 'string' ? value : new Date(Number(value) / 1000).toISOString();
}
