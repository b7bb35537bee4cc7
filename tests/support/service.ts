/** A service as a process of the test's own, on the parts that run: it may be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { stack } from './stack.ts';

export type OwnService = {
  origin: string;
  /** The end of what it wrote. */
  output(): string;
  /** As `kill -9` does; resolves when it is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

const root = join(import.meta.dirname, '..', '..');

/**
 * Starts `services/<name>` with its role's login; resolves when it is ready.
 *
 * @param settings what the service needs besides the addresses of the parts
 */
export async function startService(
  name: string,
  { role, settings }: { role: string; settings: Record<string, string> },
): Promise<OwnService> {
  const { kafka, registryUrl, databaseUrlOf } = stack();
  const port = await freePort();
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    LOG_LEVEL: 'warn',
    HOST: '127.0.0.1',
    PORT: String(port),
    INSTANCE: `${name}-test`,
    STOP_WITHIN_MS: '5000',
    DATABASE_URL: databaseUrlOf(role),
    KAFKA_BROKERS: kafka.brokers.join(','),
    ...(kafka.username === undefined ? {} : { KAFKA_USERNAME: kafka.username }),
    ...(kafka.password === undefined ? {} : { KAFKA_PASSWORD: kafka.password }),
    SCHEMA_REGISTRY_URL: registryUrl,
    ...settings,
  };
  const child = spawn(process.execPath, [join(root, 'services', name, 'src', 'main.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-8_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const origin = `http://127.0.0.1:${port}`;
  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        return (await fetch(`${origin}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
      },
      { withinMs: 40_000, everyMs: 100 },
    );
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${name} did not become ready: ${output}`, { cause: error });
  }
  return {
    origin,
    output: () => output,
    kill: () => end(child, 'SIGKILL'),
    stop: () => end(child, 'SIGTERM'),
  };
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const forced = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(forced);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return address.port;
}
