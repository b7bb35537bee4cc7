/**
 * The whole of RAGline on this machine: parts, tables, topics, schemas, connector, services, sample data.
 *
 * `npm start` and the tests use the same function; tests give a data folder and ports of their own.
 */

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { SettingsError } from '@ragline/runtime/settings';
import { addressesOf, isPart, outside } from './addresses.ts';
import { choosePorts } from './choose-ports.ts';
import { endLeftovers } from './clean-up.ts';
import { fetchParts, type PartFiles } from './fetch-parts.ts';
import { createFlow, type Flow } from './flow.ts';
import { type Instance, type Instances, parseInstances, placeInstances } from './instances.ts';
import { cacheDirOf, needsModel } from './layout.mjs';
import type { PartContext, Plan } from './part.ts';
import type { Ports } from './ports.ts';
import { type Prepared, prepare } from './prepare.ts';
import { type Progress, shown } from './progress.ts';
import { readSecrets } from './secrets.ts';
import { seedData, seedUsers } from './seed-stack.ts';
import { type ServiceContext, service, urlsOf } from './services.ts';
import { judgeSettings } from './settings.ts';
import { stackEnv } from './stack-env.ts';
import { startParts, stopParts } from './start-parts.ts';
import { takeFolder, writeEnvFile } from './state.ts';
import {
  type SupervisedProcess,
  type SupervisorEvent,
  type SupervisorOptions,
  supervise,
} from './supervisor.ts';
import { watchConnector } from './watch-connector.ts';

export type StackOptions = {
  /** Absolute; made when it is not there. Everything that is kept lies here, except Postgres's data under root. */
  dataDir: string;
  cacheDir?: string;
  /** Wanted ports, each replaced when it is taken. `free`: any others than the usual ones. */
  ports?: Partial<Ports> | 'free';
  /** Settings from outside; this process's environment when not given. */
  env?: NodeJS.ProcessEnv;
  /** `{ notifications: 2 }`; RAGLINE_INSTANCES when not given. */
  instances?: Instances;
  /** Parts with roles, tables, topics, schemas and connector, but no services and no sample data. */
  partsOnly?: boolean;
  /** Parts for mending: nothing reads them, nothing writes. As `partsOnly`, the connector stopped, a missing slot no fault. */
  mending?: boolean;
  /** False: a service that fails its health check is left as it is, for tests that freeze one. */
  healthRestart?: boolean;
  onProgress?: Progress;
  onEvent?: (event: SupervisorEvent) => void;
  /** Aborted: the start ends, and what had started is stopped. */
  signal?: AbortSignal;
};

export type Stack = {
  /** What `ragline env` prints; process ids are those of the moment. */
  env: Record<string, string>;
  parts: SupervisedProcess[];
  services: SupervisedProcess[];
  context: PartContext;
  instances: readonly Instance[];
  /** By name: `kafka`, `notifications-2`. Throws an Error for a name that is not there. */
  process(name: string): SupervisedProcess;
  /** Stops everything in order; the data and the slot stay. */
  stop(): Promise<void>;
};

/** Resolves when everything is ready. Throws StartFailure or AlreadyRunning; what had started by then is stopped. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDir, env = process.env, onProgress = () => {} } = options;
  const wanted = options.instances ?? parseInstances(env.RAGLINE_INSTANCES);
  const folder = takeFolder(dataDir);
  const parts: SupervisedProcess[] = [];
  const services: SupervisedProcess[] = [];
  let watch: { stop(): Promise<void> } | undefined;
  const stop = async () => {
    await watch?.stop();
    await stopServices(services);
    await stopParts(parts);
    folder.release();
  };
  try {
    if (folder.stale) await mendKilledStart(dataDir, onProgress);
    const { plan, instances } = await makePlan(options, env, wanted, onProgress);
    const addresses = addressesOf(plan);
    judgeSettings({ ...plan, instances, addresses });
    const files = await fetchWanted(plan, options);
    const context: PartContext = { ...plan, files };

    const refresh = () => {
      const known = stackEnv({ context, instances, parts, services });
      if (stack) writeEnvFile(dataDir, Object.assign(stack.env, known));
    };
    let stack: Stack | undefined;
    const supervision: SupervisorOptions = {
      dataDir,
      unhealthyRestartMs: options.healthRestart === false ? 0 : 15_000,
      onEvent: (event) => {
        if (event.kind === 'started') refresh();
        options.onEvent?.(event);
      },
    };
    const flow = createFlow(options.signal);
    const starting = startParts(flow, context, supervision, onProgress, parts);
    const prepared = prepare(flow, starting, addresses, onProgress, options.mending === true);
    if (!isPartsOnly(options)) {
      const serviceContext: ServiceContext = { ...context, addresses, instances, modelDir: files.modelDir };
      const { migrated, topics, schemas, lost } = prepared;
      const needs = [migrated, topics, schemas, lost, starting.rights, starting.valkey];
      const started = startServices(flow, needs, serviceContext, supervision, onProgress, services);
      if (env.RAGLINE_ENV !== 'production')
        addSampleData(flow, prepared, started, serviceContext, onProgress);
    }
    await flow.done();
    watch = watchConnector(addresses.CONNECT_URL, () => options.onEvent?.({ kind: 'connector_restarted' }));
    stack = {
      env: stackEnv({ context, instances, parts, services }),
      parts,
      services,
      context,
      instances,
      process: byName,
      stop,
    };
    writeEnvFile(dataDir, stack.env);
    return stack;
  } catch (error) {
    await stop();
    throw error;
  }

  function byName(name: string): SupervisedProcess {
    const found = [...parts, ...services].find((it) => it.name === name);
    if (!found) throw new Error(`No process ${name} in this stack`);
    return found;
  }
}

const isPartsOnly = ({ partsOnly, mending }: StackOptions): boolean => partsOnly === true || mending === true;

async function mendKilledStart(dataDir: string, onProgress: Progress): Promise<void> {
  const count = await endLeftovers(dataDir);
  if (count === 0) return;
  const text = `an earlier start was killed: ${count} of its processes were still running and were stopped`;
  onProgress({ stage: 'checking', item: 'earlier start', state: 'warning', text });
}

async function makePlan(
  options: StackOptions,
  env: NodeJS.ProcessEnv,
  wanted: Instances,
  onProgress: Progress,
): Promise<{ plan: Plan; instances: Instance[] }> {
  const { dataDir } = options;
  const logsDir = path.join(dataDir, 'logs');
  mkdirSync(logsDir, { recursive: true, mode: 0o700 });
  const secrets = readSecrets(dataDir, env.RAGLINE_DEMO_PASSWORD);
  const used = new Set<number>();
  const ports = await choosePorts(wantedPorts(options, env), used, onProgress, (name) => {
    const part = name.split('_')[0] ?? '';
    return !isPart(part) || !outside(env, part);
  });
  const free = options.ports === 'free';
  const instances = isPartsOnly(options) ? [] : await placeInstances(wanted, ports.gateway, used, { free });
  return { plan: { dataDir, logsDir, ports, secrets, env }, instances };
}

function fetchWanted(
  plan: Plan,
  { cacheDir, signal, onProgress = () => {} }: StackOptions,
): Promise<PartFiles> {
  const { env, dataDir, logsDir } = plan;
  const jvm = !outside(env, 'kafka') || !outside(env, 'registry') || !outside(env, 'connect');
  return fetchParts(
    { postgres: !outside(env, 'postgres'), valkey: !outside(env, 'valkey'), jvm, model: needsModel(env) },
    {
      cacheDir: cacheDir ?? cacheDirOf(env),
      env,
      dataDir,
      logFile: path.join(logsDir, 'fetch.log'),
      signal,
      onProgress,
    },
  );
}

function wantedPorts({ ports = {} }: StackOptions, env: NodeJS.ProcessEnv): Partial<Ports> | 'free' {
  if (ports === 'free' || !env.RAGLINE_PORT) return ports;
  const gateway = Number(env.RAGLINE_PORT);
  if (!Number.isInteger(gateway) || gateway < 1 || gateway > 65_535) {
    throw new SettingsError([`RAGLINE_PORT: ${env.RAGLINE_PORT} is no port`]);
  }
  return { ...ports, gateway };
}

/** Services need tables, topics and schemas, not Connect: they come up while Connect still does. */
function startServices(
  flow: Flow,
  needs: readonly Promise<unknown>[],
  context: ServiceContext,
  supervision: SupervisorOptions,
  onProgress: Progress,
  services: SupervisedProcess[],
): Promise<void>[] {
  return context.instances.map((instance) =>
    flow.step(needs, () =>
      shown(onProgress, 'services', instance.name, async () => {
        services.push(await supervise(service(instance, context), { ...supervision, signal: flow.signal }));
      }),
    ),
  );
}

function addSampleData(
  flow: Flow,
  prepared: Prepared,
  started: Promise<void>[],
  context: ServiceContext,
  onProgress: Progress,
): void {
  const users = flow.step([prepared.migrated, prepared.lost], () => seedUsers(context));
  const url = urlsOf(context, 'gateway')[0] ?? '';
  void flow.step([users, ...started], () =>
    shown(
      onProgress,
      'preparing',
      'sample data',
      () => seedData(url, context),
      (text) => text,
    ),
  );
}

/** The gateway first, so that nothing new comes in; then those that carry events on, then those that make them. */
async function stopServices(services: readonly SupervisedProcess[]): Promise<void> {
  for (const wave of ['gateway', 'notifications', 'chat', 'dead-letters', 'orders', 'identity']) {
    await Promise.all(services.filter(({ name }) => name.startsWith(`${wave}-`)).map((it) => it.stop()));
  }
}
