/**
 * Bytes ↔ values, in the Confluent wire format: a zero byte, the schema's id in the registry (4 bytes, big
 * endian), then Avro. What a value looks like is in avro.ts.
 */
import type { Type } from 'avsc';
import { avroType } from './avro.ts';
import { connectRegistry } from './registry.ts';
import { allTopics, subjectOf } from './topics.ts';
import { type SchemaName, type SchemaValues, schemaTexts } from './types.generated.ts';

export type Codec = ReturnType<typeof createCodec>;

export type ValueOf<N extends SchemaName> = SchemaValues[N];

/**
 * A decoded record value. `name` is the writer's record name: for one of our schemas the value has that
 * schema's present shape, whichever version wrote it; for any other it is as its writer's schema says.
 */
export type Decoded = { schema_id: number; name: string; value: unknown };

export type CodecErrorCode = 'not_confluent' | 'schema_unknown' | 'schema_incompatible' | 'malformed_avro';

/** These bytes will never decode, or this value never encode: trying again cannot help. */
export class CodecError extends Error {
  override name = 'CodecError';
  readonly permanent = true;
  readonly code: CodecErrorCode;

  constructor(code: CodecErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** decodeSync was asked for a schema that has not been looked up yet: call decode once. */
export class SchemaNotCached extends Error {
  override name = 'SchemaNotCached';
  readonly schemaId: number;

  constructor(schemaId: number) {
    super(`Schema ${schemaId} has not been looked up yet`);
    this.schemaId = schemaId;
  }
}

type Reader = { name: string; read: (payload: Buffer) => unknown };

/** An id the registry does not know is not asked for again for this long: garbage must not become a flood of lookups. */
const unknownIdMs = 10_000;
const unknownIdsMax = 1_000;

/**
 * @param registryUrl base of the registry's Confluent API, such as http://user:password@host:8081/apis/ccompat/v7
 *
 * Lookups throw RegistryUnavailableError (see registry.ts) while the registry cannot answer; what can never be
 * decoded or encoded throws CodecError.
 */
export function createCodec({ registryUrl }: { registryUrl: string }) {
  const registry = connectRegistry({ registryUrl });
  const ownTypes = new Map<string, Type>();
  const readers = new Map<number, Reader>();
  const pending = new Map<number, Promise<Reader>>();
  const unknownUntil = new Map<number, number>();

  const ownType = (name: SchemaName): Type => {
    const known = ownTypes.get(name) ?? avroType(schemaTexts[name]);
    ownTypes.set(name, known);
    return known;
  };

  const lookUp = async (schemaId: number): Promise<Reader> => {
    if ((unknownUntil.get(schemaId) ?? 0) > Date.now()) throw unknownSchema(schemaId);
    const found = await registry.schemaById(schemaId);
    if (!found) {
      if (unknownUntil.size >= unknownIdsMax) unknownUntil.clear();
      unknownUntil.set(schemaId, Date.now() + unknownIdMs);
      throw unknownSchema(schemaId);
    }
    const reader = readerOf(found, schemaId, ownType);
    readers.set(schemaId, reader);
    return reader;
  };

  const readerFor = (schemaId: number): Promise<Reader> => {
    const underWay = pending.get(schemaId);
    if (underWay) return underWay;
    const lookup = lookUp(schemaId).finally(() => pending.delete(schemaId));
    pending.set(schemaId, lookup);
    return lookup;
  };

  return {
    /**
     * A function that encodes values of the schema. The id is looked up here, once: the schema must have been
     * registered (`ragline schemas register`), else CodecError schema_unknown. The function throws CodecError
     * malformed_avro, naming the paths, for a value that does not fit.
     */
    async encoder<N extends SchemaName>(
      name: N,
      subject: string = homeSubjectOf(name),
    ): Promise<(value: ValueOf<N>) => Buffer> {
      const schemaId = await registry.idOfSchema(subject, schemaTexts[name]);
      if (schemaId === undefined) {
        throw new CodecError(
          'schema_unknown',
          `${name} is not registered under ${subject}: run "ragline schemas register"`,
        );
      }
      const type = ownType(name);
      return (value) => encode(type, schemaId, value);
    },

    async decode(bytes: Buffer): Promise<Decoded> {
      const schemaId = schemaIdOf(bytes);
      return decodeBy(readers.get(schemaId) ?? (await readerFor(schemaId)), schemaId, bytes);
    },

    /** Like decode, without a lookup: throws SchemaNotCached where decode would make one. */
    decodeSync(bytes: Buffer): Decoded {
      const schemaId = schemaIdOf(bytes);
      const reader = readers.get(schemaId);
      if (!reader) throw new SchemaNotCached(schemaId);
      return decodeBy(reader, schemaId, bytes);
    },
  };
}

/** Id of the writer's schema. Throws CodecError not_confluent. */
export function schemaIdOf(bytes: Buffer): number {
  if (bytes.length < 5 || bytes[0] !== 0) {
    throw new CodecError('not_confluent', 'The value is not in the Confluent wire format');
  }
  return bytes.readUInt32BE(1);
}

function encode(type: Type, schemaId: number, value: unknown): Buffer {
  let payload: Buffer;
  try {
    payload = type.toBuffer(value);
  } catch (cause) {
    const paths: string[] = [];
    type.isValid(value, { errorHook: (path) => paths.push(path.join('.')) });
    throw new CodecError(
      'malformed_avro',
      `The value does not fit ${type.name} at ${paths.join(', ') || '?'}`,
      { cause },
    );
  }
  const bytes = Buffer.allocUnsafe(5 + payload.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(schemaId, 1);
  payload.copy(bytes, 5);
  return bytes;
}

function decodeBy(reader: Reader, schemaId: number, bytes: Buffer): Decoded {
  try {
    return { schema_id: schemaId, name: reader.name, value: reader.read(bytes.subarray(5)) };
  } catch (cause) {
    throw new CodecError('malformed_avro', `The value is no ${reader.name} of schema ${schemaId}`, { cause });
  }
}

/** Reads what the writer's schema wrote into our present shape of the same record; a foreign one as it is. */
function readerOf(
  { text, type }: { text: string; type: string },
  schemaId: number,
  ownType: (name: SchemaName) => Type,
): Reader {
  if (type !== 'AVRO') throw new CodecError('schema_incompatible', `Schema ${schemaId} is ${type}, not Avro`);
  let writer: Type;
  try {
    writer = avroType(text);
  } catch (cause) {
    throw new CodecError('schema_incompatible', `Schema ${schemaId} is not Avro that can be read here`, {
      cause,
    });
  }
  const name = (writer.name ?? writer.typeName).replace(/^ragline\./, '');
  if (!isSchemaName(name)) return { name, read: (payload) => writer.fromBuffer(payload) };
  const own = ownType(name);
  if (own.equals(writer)) return { name, read: (payload) => own.fromBuffer(payload) };
  try {
    const resolver = own.createResolver(writer);
    return { name, read: (payload) => own.fromBuffer(payload, resolver) };
  } catch (cause) {
    throw new CodecError('schema_incompatible', `Schema ${schemaId} cannot be read as ${name}`, { cause });
  }
}

/** The subject of the topic that the schema is for. */
function homeSubjectOf(name: SchemaName): string {
  const topic = allTopics.find(({ schema }) => schema === name);
  if (!topic) throw new TypeError(`No topic carries ${name}`);
  return subjectOf(topic.name);
}

function unknownSchema(schemaId: number): CodecError {
  return new CodecError('schema_unknown', `The registry has no schema ${schemaId}`);
}

function isSchemaName(name: string): name is SchemaName {
  return Object.hasOwn(schemaTexts, name);
}
