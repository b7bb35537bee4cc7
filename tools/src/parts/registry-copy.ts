/**
 * A copy of all that the registry holds, with the ids by which records name their schemas.
 *
 * By Apicurio's own interface: the Confluent one cannot give a schema its old id.
 */
import { splitRegistryUrl } from '@ragline/schemas/registry';

const withinMs = 60_000;

/** The copy, a zip file. Throws an Error when the registry does not give it. */
export async function exportRegistry(registryUrl: string): Promise<Buffer> {
  const response = await asked(registryUrl, 'GET', 'export');
  return Buffer.from(await response.arrayBuffer());
}

/** Puts a copy into a registry that is empty; throws an Error with its reason when it refuses. */
export async function importRegistry(registryUrl: string, copy: Buffer): Promise<void> {
  await asked(registryUrl, 'POST', 'import', copy);
}

async function asked(
  registryUrl: string,
  method: 'GET' | 'POST',
  what: string,
  copy?: Buffer,
): Promise<Response> {
  const { host, credentials } = splitRegistryUrl(registryUrl);
  const pair = credentials && `${credentials.username}:${credentials.password}`;
  const url = `${host.replace(/\/apis\/ccompat\/v\d+\/?$/, '')}/apis/registry/v3/admin/${what}`;
  const response = await fetch(url, {
    method,
    headers: {
      ...(pair && { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }),
      ...(copy && { 'content-type': 'application/zip' }),
    },
    ...(copy && { body: new Uint8Array(copy) }),
    signal: AbortSignal.timeout(withinMs),
  });
  if (response.ok) return response;
  throw new Error(`The registry answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
}
