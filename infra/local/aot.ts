/**
 * Ahead-of-time caches of the JVMs: made once by short training runs after a start is ready, used by every later
 * start. They halve the time to ready.
 *
 * A training run has ports, data and passwords of its own, runs at the lowest priority and one at a time, and is
 * thrown away when it is interrupted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureAcls } from './acls.ts';
import { choosePorts } from './choose-ports.ts';
import { connect } from './connect.ts';
import { aotFile, aotMajorMin, type JvmName } from './java-command.ts';
import { brokersOf, kafka, kafkaClient, superUser } from './kafka.ts';
import type { PartContext } from './part.ts';
import { stackMark } from './processes.ts';
import { registry } from './registry.ts';
import { readSecrets } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

const readyWithinMs = 300_000;
const dumpWithinMs = 600_000;

/** JVMs of this stack that have no cache yet; none where Java cannot make one. */
export function untrained(context: PartContext): JvmName[] {
  const { java, jarsDir } = context.files;
  if (!java || !jarsDir || java.major < aotMajorMin) return [];
  const names: JvmName[] = ['kafka', 'registry', 'connect'];
  return names.filter((name) => !existsSync(aotFile(context, name)));
}

/** Makes the missing caches. Throws when a run fails or `signal` is aborted; caches that are whole stay. */
export async function train(context: PartContext, signal: AbortSignal): Promise<JvmName[]> {
  const names = untrained(context);
  for (const name of names) {
    signal.throwIfAborted();
    await trainOne(context, name, signal);
  }
  return names;
}

async function trainOne(context: PartContext, name: JvmName, signal: AbortSignal): Promise<void> {
  const target = aotFile(context, name);
  const work = `${target}.${process.pid}.tmp`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const school: PartContext = {
    ...context,
    dataDir: work,
    logsDir: context.logsDir,
    ports: await choosePorts('free', new Set(), () => {}),
    secrets: readSecrets(work),
    env: {},
  };
  const run = runner(context.dataDir, path.join(context.logsDir, 'training.log'), signal);
  try {
    const output = path.join(work, 'cache.aot');
    if (name === 'registry') await run(await registry(school, undefined), output);
    else if (name === 'kafka') await run(kafka(school), output, () => makeTopic(school));
    else await run(kafka(school), undefined, () => run(trainedConnect(school), output));
    renameSync(output, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const trainedConnect = (school: PartContext): ProcessDefinition =>
  connect(school, { brokers: brokersOf(school), username: superUser, password: school.secrets.kafka });

/** Some of what every start asks of the broker. */
async function makeTopic(school: PartContext): Promise<void> {
  const client = kafkaClient(brokersOf(school), superUser, school.secrets.kafka);
  await ensureAcls(client, { fromOutbox: ['training'], directOf: {}, ofConnect: [], deadLettersOf: {} });
  const admin = client.admin();
  const producer = client.producer();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'training', numPartitions: 2 }], waitForLeaders: true });
  await producer.connect();
  await producer.send({ topic: 'training', messages: [{ key: 'a', value: 'b' }] });
  await producer.disconnect();
  await admin.disconnect();
}

/** Runs a process until it is ready and `meanwhile` is over, then lets it end, which writes its cache to `output`. */
function runner(dataDir: string, logFile: string, signal: AbortSignal) {
  return async function run(
    definition: ProcessDefinition,
    output: string | undefined,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    const { file, args, env, cwd } = await definition.command();
    const options = output === undefined ? args : [`-XX:AOTCacheOutput=${output}`, ...args];
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn('nice', ['-n', '19', file, ...options], {
      cwd,
      env: { ...env, [stackMark]: dataDir },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    // It writes its cache by a child of its own: both are ended.
    const kill = () => child.pid !== undefined && killGroup(child.pid);
    const exit = exitOf(child);
    signal.addEventListener('abort', kill, { once: true });
    try {
      await ready(definition, exit, signal);
      await meanwhile();
      signal.throwIfAborted();
      child.kill('SIGTERM');
      const ended = await Promise.race([exit, sleep(dumpWithinMs, false as const, { ref: false })]);
      signal.throwIfAborted();
      if (ended === false) throw new Error(`${definition.name} did not end in training`);
      if (output !== undefined && !existsSync(output)) throw new Error(`${definition.name} wrote no cache`);
    } finally {
      signal.removeEventListener('abort', kill);
      kill();
      await exit;
    }
  };
}

function exitOf(child: ChildProcess): Promise<true> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(true));
    child.once('exit', () => resolve(true));
  });
}

async function ready(definition: ProcessDefinition, exit: Promise<true>, signal: AbortSignal): Promise<void> {
  let ended = false;
  void exit.then(() => {
    ended = true;
  });
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    signal.throwIfAborted();
    if (ended) throw new Error(`${definition.name} ended in training`);
    try {
      return await definition.ready();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(500);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

const beginAfterMs = 20_000;

/** Trains in the background of a running stack; a failure is only told, since nothing depends on it. */
export function trainLater(
  context: PartContext,
  tell: (outcome: { trained: JvmName[] } | { failed: string }) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const training = (async () => {
    if (untrained(context).length === 0) return;
    try {
      // The first minutes belong to the person.
      await sleep(beginAfterMs, undefined, { signal: stopping.signal });
      tell({ trained: await train(context, stopping.signal) });
    } catch (error) {
      if (!stopping.signal.aborted) tell({ failed: error instanceof Error ? error.message : String(error) });
    }
  })();
  return {
    async stop() {
      stopping.abort(new Error('stopped'));
      await training;
    },
  };
}
