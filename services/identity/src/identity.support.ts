/** What the tests of identity put together: a database of their own, instances as real processes, and people. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { migrate } from '@ragline/postgres/migrate';
import { createPool, inTenant, type Pool } from '@ragline/postgres/pool';
import { createLogger, type Logger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import type { Role } from '@ragline/web/principal';
import { hashPassword } from './passwords.ts';

export const password = 'tulip-47-oak';
// At next to no cost: a hundred people are made in the tests, and their hash is no secret.
const passwordHash = await hashPassword(password, { memoryKib: 64, passes: 1, lanes: 1 });

export type Scene = {
  /** As the owner, who sees all tenants. */
  owner: Pool;
  /** As the service's own role. */
  service: Pool;
  serviceUrl: string;
  drop(): Promise<void>;
};

/**
 * A migrated database of its own: signing keys are sealed with a secret, and the tests turn them faster than a
 * stack that runs beside could bear.
 */
export async function makeScene(ownerUrl: string, serviceUrl: string): Promise<Scene> {
  const log = createLogger({ service: 'identity-test', level: 'error' });
  const name = `identity_test_${randomBytes(6).toString('hex')}`;
  const admin = poolOf(ownerUrl, log);
  await admin.query(`CREATE DATABASE ${name}`);
  await migrate({ databaseUrl: inDatabase(ownerUrl, name), log });
  const owner = poolOf(inDatabase(ownerUrl, name), log);
  const service = poolOf(inDatabase(serviceUrl, name), log);
  return {
    owner,
    service,
    serviceUrl: inDatabase(serviceUrl, name),
    async drop() {
      await Promise.all([owner.end(), service.end()]);
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

function poolOf(url: string, log: Logger): Pool {
  const metrics = createMetrics({ service: 'identity-test' });
  // Making and dropping a database may wait for a checkpoint.
  return createPool({
    url,
    max: 4,
    applicationName: 'identity-test',
    statementTimeoutMs: 60_000,
    log,
    metrics,
  });
}

function inDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

export type Person = { id: string; tenant_id: string; tenant: string; email: string; password: string };

/** A tenant with these people, whose address is `<name>@<slug>.example`. */
export async function makeTenant<N extends string>(
  { owner }: Scene,
  people: Record<N, Role[]>,
  slug = `t-${randomBytes(6).toString('hex')}`,
): Promise<{ id: string; slug: string } & Record<N, Person>> {
  const id = randomUUIDv7();
  const made = await inTenant(owner, id, async (client) => {
    await client.query('INSERT INTO identity.tenant (id, slug, name) VALUES ($1, $2, $2)', [id, slug]);
    const persons: [string, Person][] = [];
    for (const [name, roles] of Object.entries(people)) {
      const person = {
        id: randomUUIDv7(),
        tenant_id: id,
        tenant: slug,
        email: `${name}@${slug}.example`,
        password,
      };
      await client.query(
        'INSERT INTO identity.user_account (id, tenant_id, email, roles, password_hash) VALUES ($1, $2, $3, $4, $5)',
        [person.id, id, person.email, roles, passwordHash],
      );
      persons.push([name, person]);
    }
    return persons;
  });
  return { id, slug, ...Object.fromEntries(made) } as { id: string; slug: string } & Record<N, Person>;
}

export type Instance = { origin: string; stop(): Promise<void> };

/** Starts the service as its own process and waits until it is ready. Throws with its output when it does not start. */
export async function startInstance(env: Record<string, string>): Promise<Instance> {
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    env: { PATH: process.env.PATH, ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  const origin = `http://127.0.0.1:${port}`;
  await untilReady(origin, child, () => output);
  return {
    origin,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function untilReady(origin: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await fetch(`${origin}/readyz`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`identity did not start:\n${output().slice(-4_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port');
  return address.port;
}

/** An address of a client that nobody else has, so that the limits of one test do not reach another. */
export function someAddress(): Record<string, string> {
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return { 'x-forwarded-for': `10.${a}.${b}.${c}` };
}
