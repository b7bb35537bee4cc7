/**
 * What docker-compose.yml tells Kafka and the registry, told to the very programs that their images hold: they start
 * from their environments alone, let in who has the password, and nobody else.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDatabase } from '@ragline/postgres/roles';
import { after, afterEach, before, describe, it } from 'mocha';
import { composeService } from '../../infra/docker/compose.support.ts';
import { need } from '../../infra/local/fetch-parts.ts';
import { classPath } from '../../infra/local/java-command.ts';
import { describeCluster } from '../../infra/local/kafka.ts';
import { basic } from '../../infra/local/part.ts';
import { choosePort } from '../../infra/local/ports.ts';
import { removeData } from '../../infra/local/remove-data.ts';
import { type Stack, startStack } from '../../infra/local/start-stack.ts';
import { eventually } from '../support/eventually.ts';
import { startOf, type ThisMachine, thisMachine } from './this-machine.ts';

describe('of the parts of docker-compose.yml', function () {
  this.timeout(600_000);
  let dataDir: string;
  let stack: Stack;
  let machine: ThisMachine;
  let stopProgram = async () => {};

  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'containers-'));
    stack = await startStack({ dataDir, ports: 'free', partsOnly: true });
    machine = await thisMachine(stack.context);
  });
  afterEach(() => stopProgram());
  after(async () => {
    await stack?.stop();
    await removeData(dataDir);
  });

  it('the registry takes its user, its database and its health check', async () => {
    const { port } = await choosePort(undefined, new Set());
    await ensureDatabase({
      databaseUrl: stack.env.DATABASE_URL ?? '',
      name: 'registry_in_container',
      owner: 'ragline_registry',
    });
    const { environment } = startOf('registry', machine);
    const env = moved(environment, { '/registry$': '/registry_in_container', '^8080$': String(port) });
    // As its image starts it.
    start(['-Dquarkus.http.host=0.0.0.0', '-jar', join(jars(), 'registry', 'quarkus-run.jar')], env);
    await eventually(async () => assert.equal(await healthCheck('registry', env, port), 0), {
      withinMs: 120_000,
      everyMs: 1_000,
    });

    const password = machine.variables.get('REGISTRY_PASSWORD') ?? '';
    assert.equal(await statusOf(port, basic('ragline', password)), 200);
    assert.equal(await statusOf(port, basic('ragline', `${password}0`)), 401);
    assert.equal(await statusOf(port), 401);
    const wrong = { ...env, QUARKUS_SECURITY_USERS_EMBEDDED_USERS_RAGLINE: 'another' };
    assert.notEqual(await healthCheck('registry', wrong, port), 0);
  });

  it('Kafka takes its listeners and its users, and nobody who has no password', async () => {
    const used = new Set<number>();
    const [client, controller, outside] = [
      await choosePort(undefined, used),
      await choosePort(undefined, used),
      await choosePort(undefined, used),
    ].map(({ port }) => port);
    const folder = join(dataDir, 'kafka-in-container');
    const { environment } = startOf('kafka', { ...machine, addresses: new Map() });
    const env = moved(environment, {
      '127\\.0\\.0\\.1:9092': `127.0.0.1:${outside}`,
      'kafka:9092': `127.0.0.1:${client}`,
      '://:9092': `://127.0.0.1:${client}`,
      '://:9094': `://127.0.0.1:${outside}`,
      ':9093': `:${controller}`,
      '^/var/lib/kafka/data$': join(folder, 'data'),
    });
    const settings = await kafkaSettings(folder, env);
    start(['-cp', classPath(join(jars(), 'kafka')), 'kafka.Kafka', settings], {});

    const password = machine.variables.get('KAFKA_PASSWORD') ?? '';
    for (const port of [client, outside]) {
      const brokers = `127.0.0.1:${port}`;
      await eventually(() => describeCluster(brokers, 'ragline', password), {
        withinMs: 120_000,
        everyMs: 500,
      });
      await assert.rejects(describeCluster(brokers, 'ragline', `${password}0`), /authentication failed/i);
      await assert.rejects(describeCluster(brokers));
    }
  });

  const jars = (): string => need(stack.context.files.jarsDir);
  const java = (): string => need(stack.context.files.java).bin;

  /** Makes Kafka's settings of its environment, and formats its disk, by the program that its image does it with. */
  async function kafkaSettings(folder: string, env: Record<string, string>): Promise<string> {
    const [defaults, mounted, made] = ['defaults', 'mounted', 'made'].map((name) => join(folder, name));
    for (const it of [defaults, mounted, made, join(folder, 'data')])
      await mkdir(String(it), { recursive: true });
    for (const name of ['server.properties', 'log4j2.yaml', 'tools-log4j2.yaml']) {
      await writeFile(join(String(defaults), name), name.endsWith('yaml') ? logs : '');
    }
    const folders = ['-D', defaults, '-M', mounted, '-F', made].map(String);
    const args = [
      '-cp',
      classPath(join(jars(), 'kafka')),
      'kafka.docker.KafkaDockerWrapper',
      'setup',
      ...folders,
    ];
    const { promise, resolve } = Promise.withResolvers<string>();
    execFile(java(), args, { env }, (error, stdout, stderr) => resolve(error ? stdout + stderr : ''));
    assert.equal(await promise, '');
    return join(String(made), 'server.properties');
  }

  function start(args: string[], env: Record<string, string>): void {
    const child = spawn(java(), ['-Xmx384m', ...args], { env: { ...marked(), ...env }, stdio: 'ignore' });
    const ended = once(child, 'exit');
    stopProgram = async () => {
      child.kill('SIGKILL');
      await ended;
      stopProgram = async () => {};
    };
  }
});

/** The least that Kafka's program takes for its image's own. */
const logs = `Configuration:
  Properties: { Property: [{ name: pattern, value: "%m%n" }] }
  Appenders: { Console: { name: STDOUT, PatternLayout: { pattern: "%m%n" } } }
  Loggers: { Root: { level: WARN, AppenderRef: [{ ref: STDOUT }] } }
`;

/** With the mark by which the runner finds what was left. */
const marked = (): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  RAGLINE_TEST_RUN: process.env.RAGLINE_TEST_RUN ?? '',
});

function moved(environment: Record<string, string>, places: Record<string, string>): Record<string, string> {
  const move = (value: string): string =>
    Object.entries(places).reduce((text, [from, to]) => text.replaceAll(new RegExp(from, 'g'), to), value);
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, move(value)]));
}

async function statusOf(port: number, authorization?: string): Promise<number> {
  const headers = authorization === undefined ? {} : { authorization };
  const response = await fetch(`http://127.0.0.1:${port}/apis/ccompat/v7/subjects`, { headers });
  await response.text();
  return response.status;
}

/** The exit code of a health check as Compose would run it, asking this port in place of the container's. */
function healthCheck(name: string, env: Record<string, string>, port: number): Promise<number> {
  const [kind, file = '', ...args] = composeService(name).healthcheck?.test ?? [];
  assert.equal(kind, 'CMD');
  const words = args.map((word) => word.replaceAll('$$', '$').replaceAll('/8080', `/${port}`));
  return new Promise((resolve) => {
    execFile(file, words, { env: { ...marked(), ...env }, timeout: 5_000 }, (error) =>
      resolve(error === null ? 0 : 1),
    );
  });
}
