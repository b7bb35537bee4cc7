/** Makes the registry know our schemas, with the compatibility that keeps their readers reading. */
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import { connectRegistry, field, splitRegistryUrl } from './registry.ts';
import { allTopics, type Compatibility, subjectOf } from './topics.ts';
import { schemaTexts } from './types.generated.ts';

export type SubjectSchema = { subject: string; schema: string; compatibility: Compatibility; text: string };

export type RegisteredSchema = {
  subject: string;
  schema: string;
  schema_id: number;
  compatibility: Compatibility;
};

/** Every subject that should be in the registry. */
export const subjects: readonly SubjectSchema[] = allTopics.flatMap(({ name, schema, compatibility }) =>
  schema && compatibility
    ? [{ subject: subjectOf(name), schema, compatibility, text: schemaTexts[schema] }]
    : [],
);

/**
 * Registers every schema under its topic's subject, and sets the subject's compatibility; safe to repeat.
 *
 * Throws an Error whose message has the subject when the registry refuses a schema as incompatible, and
 * RegistryUnavailableError when it does not answer.
 */
export async function registerSchemas({
  registryUrl,
  of = subjects,
}: {
  registryUrl: string;
  of?: readonly SubjectSchema[];
}): Promise<RegisteredSchema[]> {
  const registry = connectRegistry({ registryUrl });
  const { host, credentials } = splitRegistryUrl(registryUrl);
  const client = new SchemaRegistry({
    host,
    ...(credentials && { auth: credentials }),
    retry: { retries: 3 },
  });
  const registered: RegisteredSchema[] = [];
  for (const { subject, schema, compatibility, text } of of) {
    // A subject that has a level of its own must have ours before the client looks: it refuses another.
    const level = await registry.ask('GET', `/config/${encodeURIComponent(subject)}`);
    if (level !== undefined && field(level, 'compatibilityLevel') !== compatibility) {
      await registry.ask('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility });
    }
    try {
      const { id } = await client.register(
        { type: SchemaType.AVRO, schema: text },
        { subject, compatibility: COMPATIBILITY[compatibility] },
      );
      registered.push({ subject, schema, schema_id: id, compatibility });
    } catch (cause) {
      throw new Error(`${schema} was not registered under ${subject}`, { cause });
    }
  }
  return registered;
}

export type CompatibilityCheck = {
  subject: string;
  schema: string;
  state: 'current' | 'compatible' | 'incompatible' | 'new';
};

/** Compares our schemas with every registered version, and registers nothing. */
export async function checkSchemas({
  registryUrl,
  of = subjects,
}: {
  registryUrl: string;
  of?: readonly SubjectSchema[];
}): Promise<CompatibilityCheck[]> {
  const registry = connectRegistry({ registryUrl });
  const checks: CompatibilityCheck[] = [];
  for (const { subject, schema, text } of of) {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const versions = await registry.ask('GET', path);
    if (versions === undefined) {
      checks.push({ subject, schema, state: 'new' });
      continue;
    }
    const current = await registry.idOfSchema(subject, text);
    const answer = await registry.ask('POST', `/compatibility${path}/latest`, { schema: text });
    const compatible = field(answer, 'is_compatible') === true;
    checks.push({
      subject,
      schema,
      state: current !== undefined ? 'current' : compatible ? 'compatible' : 'incompatible',
    });
  }
  return checks;
}

export type RegisteredSubject = {
  subject: string;
  versions: number[];
  latest_id: number | null;
  compatibility: string | null;
};

/** What the registry has. */
export async function listSubjects({ registryUrl }: { registryUrl: string }): Promise<RegisteredSubject[]> {
  const registry = connectRegistry({ registryUrl });
  const names = await registry.ask('GET', '/subjects');
  const found: RegisteredSubject[] = [];
  for (const subject of Array.isArray(names) ? names.map(String).sort() : []) {
    const path = encodeURIComponent(subject);
    const versions = await registry.ask('GET', `/subjects/${path}/versions`);
    const latest = await registry.ask('GET', `/subjects/${path}/versions/latest`);
    const level = await registry.ask('GET', `/config/${path}`);
    found.push({
      subject,
      versions: Array.isArray(versions) ? versions.map(Number) : [],
      latest_id: Number(field(latest, 'id')) || null,
      compatibility: level === undefined ? null : String(field(level, 'compatibilityLevel')),
    });
  }
  return found;
}
