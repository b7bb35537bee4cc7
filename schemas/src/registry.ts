/**
 * The schema registry's Confluent API, as far as RAGline asks it for something.
 *
 * Lookups do not go through @kafkajs/confluent-schema-registry: it keeps only the status of a failed answer,
 * and a proxy that has lost its registry says 404 too. Taken at its word, every record would be given up on as
 * undecodable. So a 404 counts only with the registry's own error code. (Registering goes through it: see
 * register.ts.)
 */

export type Registry = ReturnType<typeof connectRegistry>;

/** The registry cannot answer now: try again later. */
export class RegistryUnavailableError extends Error {
  override name = 'RegistryUnavailableError';
  readonly code = 'registry_unavailable';
}

/** The registry understood and refused: an incompatible or invalid schema. */
export class RegistryRefusedError extends Error {
  override name = 'RegistryRefusedError';
  readonly code = 'registry_refused';
}

export type RegistryAnswer = { status: number; body: unknown };

const timeoutMs = 5_000;

/** Error codes of the Confluent API for a subject, version, schema or setting that is not there. */
const notThere = new Set([40401, 40402, 40403, 40408]);

/** @param registryUrl base of the Confluent API, such as http://user:password@host:8081/apis/ccompat/v7 */
export function connectRegistry({ registryUrl }: { registryUrl: string }) {
  const { host, credentials } = splitRegistryUrl(registryUrl);
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
  if (credentials) {
    const pair = `${credentials.username}:${credentials.password}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }

  /** The answer's JSON; undefined when the registry says that there is no such thing. */
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const { status, body: answer } = await send(host + path, {
      method,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (status >= 200 && status < 300) return answer;
    if (status === 404 && notThere.has(Number(field(answer, 'error_code')))) return undefined;
    const message = `The schema registry answered ${status}: ${String(field(answer, 'message') ?? 'no reason given')}`;
    throw status === 409 || status === 422
      ? new RegistryRefusedError(message)
      : new RegistryUnavailableError(message);
  };

  return {
    ask,

    /** Text of the schema with that id and its type; undefined when the registry has none. */
    async schemaById(schemaId: number): Promise<{ text: string; type: string } | undefined> {
      const found = await ask('GET', `/schemas/ids/${schemaId}`);
      const text = field(found, 'schema');
      // Avro is what is meant when nothing is said.
      return typeof text === 'string'
        ? { text, type: String(field(found, 'schemaType') ?? 'AVRO') }
        : undefined;
    },

    /** Id of exactly this schema under the subject; undefined when it is not registered there. */
    async idOfSchema(subject: string, schemaText: string): Promise<number | undefined> {
      const found = await ask('POST', `/subjects/${encodeURIComponent(subject)}`, { schema: schemaText });
      const id = field(found, 'id');
      return typeof id === 'number' ? id : undefined;
    },
  };
}

/** The address without its credentials, and those; throws TypeError when it is no URL. */
export function splitRegistryUrl(registryUrl: string) {
  const url = new URL(registryUrl);
  const credentials = url.username
    ? { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
    : undefined;
  url.username = '';
  url.password = '';
  return { host: url.href.replace(/\/$/, ''), credentials };
}

/** A field of a JSON answer; undefined when the answer is no object or has none. */
export function field(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
}

async function send(url: string, init: RequestInit): Promise<RegistryAnswer> {
  try {
    const response = await fetch(url, init);
    const text = await response.text();
    return { status: response.status, body: parse(text) };
  } catch (cause) {
    throw new RegistryUnavailableError(`The schema registry at ${new URL(url).host} does not answer`, {
      cause,
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
