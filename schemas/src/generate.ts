/**
 * Writes `types.generated.ts` from the `.avsc` files: one TypeScript type per Avro record, in the JSON shape
 * that the codec decodes to (see codec.ts), with the fields' doc strings.
 *
 * The output also holds the schemas themselves, so that nobody reads files at run time.
 */
import { readdir, readFile } from 'node:fs/promises';

type AvroRecord = { type: 'record'; name: string; doc?: string; fields: AvroField[] };
type AvroField = { name: string; doc?: string; type: unknown };

const schemasUrl = new URL('../avro/', import.meta.url);

/** The file that the generator writes. */
export const generatedUrl = new URL('./types.generated.ts', import.meta.url);

/** Text of types.generated.ts for the schemas as they are now. Throws an Error that names what it cannot express. */
export async function generateTypes(): Promise<string> {
  const files = (await readdir(schemasUrl)).filter((file) => file.endsWith('.avsc')).sort();
  const types: string[] = [];
  const entries: string[] = [];
  const values: string[] = [];
  for (const file of files) {
    const name = file.replace(/\.avsc$/, '');
    const schema = asRecord(JSON.parse(await readFile(new URL(file, schemasUrl), 'utf8')), file);
    if (schema.name !== name)
      throw new Error(`${file}: the record must be named ${name}, not ${schema.name}`);
    for (const record of recordsIn(schema)) types.push(renderRecord(record));
    entries.push(`  ${name}: ${JSON.stringify(JSON.stringify(schema))},`);
    values.push(`  ${name}: ${typeName(name)};`);
  }
  return [
    '// Made by `ragline schemas generate` from schemas/avro. Do not edit: a test compares.',
    ...types,
    '/** The decoded value of each schema. */',
    `export type SchemaValues = {\n${values.join('\n')}\n};\n`,
    'export type SchemaName = keyof SchemaValues;\n',
    '/** The schemas as they are registered: Avro, as JSON text. */',
    `export const schemaTexts: Record<SchemaName, string> = {\n${entries.join('\n')}\n};\n`,
  ].join('\n');
}

/** `order_v1` → `OrderEvent` (an event, as `chat_event_v1` → `ChatEvent`), `order_item` → `OrderItem` (a part of one). */
function typeName(avroName: string): string {
  const event = /^(.*)_v\d+$/.exec(avroName);
  const words = (event?.[1] ?? avroName).replace(event ? /_event$/ : /$^/, '').split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('') + (event ? 'Event' : '');
}

/** Depth first, so that a part comes before what it is a part of. */
function recordsIn(type: unknown): AvroRecord[] {
  if (Array.isArray(type)) return type.flatMap(recordsIn);
  if (!isObject(type)) return [];
  if (type.type === 'array') return recordsIn(type.items);
  if (type.type !== 'record') return [];
  const record = asRecord(type, String(type.name));
  return [...record.fields.flatMap((field) => recordsIn(field.type)), record];
}

function renderRecord(record: AvroRecord): string {
  const fields = record.fields.map(
    (field) =>
      `${docLine(field.doc, '  ')}  ${field.name}: ${renderType(field.type, `${record.name}.${field.name}`)};\n`,
  );
  return `${docLine(record.doc, '')}export type ${typeName(record.name)} = {\n${fields.join('')}};\n`;
}

function docLine(doc: string | undefined, indent: string): string {
  return doc ? `${indent}/** ${doc} */\n` : '';
}

function renderType(type: unknown, where: string): string {
  if (Array.isArray(type)) {
    return type
      .map((branch) => renderType(branch, where))
      .sort((a, b) => Number(a === 'null') - Number(b === 'null'))
      .join(' | ');
  }
  if (typeof type === 'string') return renderPrimitive(type, where);
  if (!isObject(type)) throw new Error(`${where}: not a type`);
  if (type.type === 'record') return typeName(String(type.name));
  if (type.type === 'array') return `${parenthesised(renderType(type.items, where))}[]`;
  if (type.logicalType === 'timestamp-micros') return 'string';
  if (type.logicalType === 'json') return 'Record<string, unknown>';
  if (type.logicalType === 'one-of' && Array.isArray(type.values)) {
    return type.values.map((value) => `'${String(value)}'`).join(' | ');
  }
  return renderPrimitive(String(type.type), where);
}

function parenthesised(type: string): string {
  return type.includes('|') ? `(${type})` : type;
}

function renderPrimitive(type: string, where: string): string {
  if (type === 'null' || type === 'boolean' || type === 'string') return type;
  if (type === 'int' || type === 'long' || type === 'double' || type === 'float') return 'number';
  throw new Error(
    `${where}: no TypeScript for the Avro type ${type}; teach generate.ts and codec.ts together`,
  );
}

function asRecord(value: unknown, where: string): AvroRecord {
  if (
    !isObject(value) ||
    value.type !== 'record' ||
    typeof value.name !== 'string' ||
    !Array.isArray(value.fields)
  ) {
    throw new Error(`${where}: not an Avro record`);
  }
  const fields = value.fields.map((field: unknown) => {
    if (!isObject(field) || typeof field.name !== 'string') throw new Error(`${where}: a field has no name`);
    return { ...field, name: field.name, type: field.type };
  });
  return { ...value, type: 'record', name: value.name, fields };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
