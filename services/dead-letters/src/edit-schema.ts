/** The writer's schema of a letter, and values that are made by it. */
import { isDeepStrictEqual } from 'node:util';
import { avroType } from '@ragline/schemas/avro';
import { connectRegistry, field } from '@ragline/schemas/registry';
import { subjectOf } from '@ragline/schemas/topics';
import { type FieldError, problem } from '@ragline/web/problems';
import avro from 'avsc';
import { isPlain } from './edit-rules.ts';
import type { LetterRow } from './letter.ts';

export type WriterSchema = {
  schema_id: number;
  /** The bytes in the Confluent format, or what is wrong with the value, field by field. */
  encode(value: unknown, shown: unknown): { bytes: Buffer } | { errors: FieldError[] };
};

export type WriterSchemas = ReturnType<typeof writerSchemas>;

const cachedMax = 200;

/** @param registryUrl base of the registry's Confluent API, with its credentials */
export function writerSchemas({ registryUrl }: { registryUrl: string }) {
  const registry = connectRegistry({ registryUrl });
  const known = new Map<number, WriterSchema>();

  const byId = async (schemaId: number): Promise<WriterSchema | undefined> => {
    const cached = known.get(schemaId);
    if (cached !== undefined) return cached;
    const found = await registry.schemaById(schemaId);
    if (found === undefined || found.type !== 'AVRO') return undefined;
    const schema = schemaFrom(schemaId, found.text);
    if (known.size >= cachedMax) known.clear();
    if (schema !== undefined) known.set(schemaId, schema);
    return schema;
  };

  const latestOf = async (topic: string): Promise<WriterSchema | undefined> => {
    const subject = encodeURIComponent(subjectOf(topic));
    const id = field(await registry.ask('GET', `/subjects/${subject}/versions/latest`), 'id');
    return typeof id === 'number' ? byId(id) : undefined;
  };

  return {
    /**
     * The schema that the letter's value was written with. Where there is none, or the registry does not know it, the
     * latest of its topic: somebody who gives garbage a value means an event of that topic.
     *
     * Throws Problem conflict where no schema can be named, unavailable while the registry cannot answer.
     */
    async of(letter: Pick<LetterRow, 'schema_id' | 'topic'>): Promise<WriterSchema> {
      try {
        const own = letter.schema_id === null ? undefined : await byId(letter.schema_id);
        const schema = own ?? (await latestOf(letter.topic));
        if (schema !== undefined) return schema;
      } catch (cause) {
        throw problem('unavailable', 'The schema registry cannot answer.', { cause });
      }
      throw problem(
        'conflict',
        `No schema says what a value of ${letter.topic} looks like: neither the letter's own nor one of subject ${subjectOf(letter.topic)} is in the registry.`,
      );
    },
  };
}

const faultsMax = 50;

/** undefined when the text is no Avro that can be read here. */
export function schemaFrom(schemaId: number, text: string): WriterSchema | undefined {
  let type: ReturnType<typeof avroType>;
  try {
    type = avroType(text);
  } catch {
    return undefined;
  }
  return {
    schema_id: schemaId,
    encode(value, shown) {
      if (!isPlain(value)) {
        return {
          errors: [{ path: 'value', message: 'must have no field __proto__, and not be nested too deeply' }],
        };
      }
      const errors: FieldError[] = [];
      type.isValid(value, {
        errorHook(path: string[], found: unknown, expected: avro.Type) {
          if (errors.length < faultsMax)
            errors.push({ path: pathOf(path), message: faultOf(found, expected) });
        },
      });
      for (const path of undeclaredIn(type, value)) {
        // A letter is shown in the present shape of its schema: what its writer did not know yet comes back with it.
        const isShown = isDeepStrictEqual(at(value, path), at(shown, path));
        if (!isShown && errors.length < faultsMax)
          errors.push({ path: pathOf(path), message: 'is not a known field' });
      }
      if (errors.length > 0) return { errors };
      try {
        const payload = type.toBuffer(value);
        const head = Buffer.alloc(5);
        head.writeUInt32BE(schemaId, 1);
        return { bytes: Buffer.concat([head, payload]) };
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        return { errors: [{ path: 'value', message: 'does not fit the schema' }] };
      }
    },
  };
}

const pathOf = (path: readonly unknown[]): string => ['value', ...path.map(String)].join('.').slice(0, 300);

function faultOf(found: unknown, expected: avro.Type): string {
  const name = expected.typeName.replace(/^logical:/, '');
  return found === undefined ? `is missing: must be ${name}` : `must be ${name}`;
}

/** Paths of fields that the schema does not know. */
function* undeclaredIn(type: avro.Type, value: unknown, path: string[] = []): Generator<string[]> {
  if (typeof value !== 'object' || value === null) return;
  if (avro.Type.isType(type, 'record')) {
    const fields = new Map(recordFields(type).map((it) => [it.name, it.type]));
    for (const [name, item] of Object.entries(value)) {
      const known = fields.get(name);
      if (known === undefined) yield [...path, name];
      else yield* undeclaredIn(known, item, [...path, name]);
    }
  } else if (avro.Type.isType(type, 'union')) {
    // Without wrapping a value fits one branch; with two records it is the one that takes it.
    const branches = branchesOf(type).filter((branch) => branch.isValid(value));
    if (branches[0] !== undefined) yield* undeclaredIn(branches[0], value, path);
  } else if (avro.Type.isType(type, 'array', 'map')) {
    const inner = innerOf(type);
    for (const [name, item] of Object.entries(value))
      yield* undeclaredIn(inner ?? type, item, [...path, name]);
  }
}

const recordFields = (type: avro.Type) => (type instanceof avro.types.RecordType ? type.fields : []);
const branchesOf = (type: avro.Type) =>
  type instanceof avro.types.UnwrappedUnionType ? [...type.types] : [];
const innerOf = (type: avro.Type) =>
  type instanceof avro.types.ArrayType
    ? type.itemsType
    : type instanceof avro.types.MapType
      ? type.valuesType
      : undefined;

function at(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Reflect.get(found, name);
  }
  return found;
}
