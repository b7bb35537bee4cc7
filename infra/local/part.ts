/** What every part is built from. */
import type { PartFiles } from './fetch-parts.ts';
import type { Ports } from './ports.ts';
import type { Secrets } from './secrets.ts';

/** What is settled before anything is fetched. */
export type Plan = {
  dataDir: string;
  logsDir: string;
  ports: Ports;
  secrets: Secrets;
  /** The settings that win over an embedded part (DATABASE_URL, KAFKA_BROKERS, …). */
  env: NodeJS.ProcessEnv;
};

export type PartContext = Plan & { files: PartFiles };

export const host = '127.0.0.1';

/** Settings that would reach into the parts from the person's shell (PGUSER, CLASSPATH, JAVA_TOOL_OPTIONS, …) are left out. */
export function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'RAGLINE_TEST_RUN'];
  return Object.fromEntries(kept.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]));
}

export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** Throws unless the answer's status is 2xx. */
export async function expectOk(
  url: string,
  authorization?: string,
  signal = AbortSignal.timeout(5_000),
): Promise<void> {
  const headers = authorization === undefined ? {} : { authorization };
  const response = await fetch(url, { headers, signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 200)}`);
}
