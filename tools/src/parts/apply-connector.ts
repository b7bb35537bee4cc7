/** The connector of the outboxes, on Kafka Connect. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectClient, ConnectError, connectClient } from './connect.ts';

export const connectorName = 'ragline-outbox';

const configUrl = new URL('../../../connectors/outbox.json', import.meta.url);

export type ConnectorConfig = Record<string, string>;

/**
 * connectors/outbox.json with the address and login of Postgres filled in.
 *
 * @param cdcUrl connection string of the role ragline_cdc
 */
export async function connectorConfig(cdcUrl: string): Promise<ConnectorConfig> {
  const parsed: unknown = JSON.parse(await readFile(configUrl, 'utf8'));
  const lines = Object.entries(parsed ?? {}).map(([name, value]) => [name, String(value)]);
  const url = new URL(cdcUrl);
  const sslmode = url.searchParams.get('sslmode');
  return {
    ...Object.fromEntries(lines),
    'database.hostname': url.hostname,
    'database.port': url.port || '5432',
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'database.dbname': decodeURIComponent(url.pathname.slice(1)),
    ...(sslmode && { 'database.sslmode': sslmode }),
  };
}

export type ApplyOptions = {
  connectUrl: string;
  /** Connection string of the role ragline_cdc, as Connect reaches it. */
  cdcUrl: string;
  name?: string;
  /** Lines of the configuration to replace; for tests. */
  changes?: ConnectorConfig;
  /** Let one that is paused or stopped read on; without it that is an error. */
  resume?: boolean;
  withinMs?: number;
};

export type ConnectorOutcome = { name: string; outcome: 'created' | 'altered' | 'current' };

/**
 * Brings the connector to its configuration and waits until its task runs; safe to repeat.
 *
 * Throws an Error with the task's trace when the task fails, and one that says how far it came after `withinMs`
 * (90 s).
 */
export async function applyConnector(options: ApplyOptions): Promise<ConnectorOutcome> {
  const { connectUrl, cdcUrl, name = connectorName, changes = {}, withinMs = 90_000 } = options;
  const resume = options.resume === true;
  const ask = connectClient(connectUrl);
  const deadline = Date.now() + withinMs;
  const config: ConnectorConfig = { ...(await connectorConfig(cdcUrl)), ...changes, name };
  const present = await untilSettled(deadline, () => ask('GET', `/connectors/${name}/config`));
  const current = isSame(present, config);
  if (!current) await untilSettled(deadline, () => ask('PUT', `/connectors/${name}/config`, config));
  else await restartFailed({ connectUrl, name });
  // Harmless to one that runs.
  if (resume) await untilSettled(deadline, () => ask('PUT', `/connectors/${name}/resume`));
  await untilRunning(ask, name, deadline, resume);
  return { name, outcome: current ? 'current' : present === undefined ? 'created' : 'altered' };
}

export type ConnectorStatus = {
  name: string;
  /** RUNNING only when the connector and all its tasks run; MISSING when there is none. */
  state: string;
  tasks: { id: number; state: string; worker_id: string }[];
  /** First line of a failed part's trace. */
  error: string | null;
  trace: string | null;
};

export async function connectorStatus({
  connectUrl,
  name = connectorName,
}: {
  connectUrl: string;
  name?: string;
}) {
  return readStatus(connectClient(connectUrl), name);
}

/**
 * The place in Postgres's log from which it goes on, in bytes; null when Connect keeps none.
 *
 * @param withinMs how long workers may take that have just started, or agree on something
 */
export async function connectorPlace({
  connectUrl,
  name = connectorName,
  withinMs = 0,
}: {
  connectUrl: string;
  name?: string;
  withinMs?: number;
}): Promise<bigint | null> {
  const ask = connectClient(connectUrl);
  const answer = await untilSettled(Date.now() + withinMs, () => ask('GET', `/connectors/${name}/offsets`));
  const [kept] = isObject(answer) && Array.isArray(answer.offsets) ? answer.offsets.filter(isObject) : [];
  const lsn = isObject(kept?.offset) ? kept.offset.lsn : undefined;
  return typeof lsn === 'number' ? BigInt(lsn) : null;
}

/** Restarts what has failed, and nothing that runs; says whether there was anything. */
export async function restartFailed({
  connectUrl,
  name = connectorName,
}: {
  connectUrl: string;
  name?: string;
}) {
  const { state } = await connectorStatus({ connectUrl, name });
  if (state !== 'FAILED') return false;
  await restartConnector({ connectUrl, name, onlyFailed: true });
  return true;
}

/** Restarts the connector and its task; nothing is lost or doubled by it. */
export async function restartConnector(options: { connectUrl: string; name?: string; onlyFailed?: boolean }) {
  const { connectUrl, name = connectorName, onlyFailed = false } = options;
  const ask = connectClient(connectUrl);
  const path = `/connectors/${name}/restart?includeTasks=true&onlyFailed=${onlyFailed}`;
  await untilSettled(Date.now() + 30_000, () => ask('POST', path));
}

/** Stops or resumes reading; the slot and the place in it are kept. */
export async function pauseConnector(options: { connectUrl: string; name?: string; paused: boolean }) {
  const { connectUrl, name = connectorName, paused } = options;
  const ask = connectClient(connectUrl);
  await untilSettled(Date.now() + 30_000, () =>
    ask('PUT', `/connectors/${name}/${paused ? 'pause' : 'resume'}`),
  );
  const wanted = paused ? 'PAUSED' : 'RUNNING';
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { state, error } = await readStatus(ask, name);
    if (state === wanted) return;
    if (Date.now() > deadline)
      throw new Error(`${name} is ${state}, not ${wanted}${error ? `: ${error}` : ''}`);
    await pause(100);
  }
}

async function untilRunning(
  ask: ConnectClient,
  name: string,
  deadline: number,
  isResumed: boolean,
): Promise<void> {
  for (;;) {
    const { state, tasks, error, trace } = await readStatus(ask, name);
    if (state === 'RUNNING' && tasks.length > 0) return;
    if (state === 'FAILED') throw new Error(`${name} failed: ${error}`, { cause: trace });
    // Somebody did that on purpose, and only a person undoes it.
    if (!isResumed && (state === 'PAUSED' || state === 'STOPPED'))
      throw new Error(`${name} is ${state}: run "ragline connectors resume"`);
    if (Date.now() > deadline) throw new Error(`${name} does not run yet: ${state}, ${tasks.length} tasks`);
    await pause(200);
  }
}

/** 409 while the workers agree on who does what, 500 and 503 while one of them is not there yet, no answer in time: asked again. */
async function untilSettled<T>(deadline: number, request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      const passing = error instanceof ConnectError && [409, 500, 503].includes(error.status);
      if ((!passing && !isTooLate(error)) || Date.now() > deadline) throw error;
      await pause(500);
    }
  }
}

const isTooLate = (error: unknown): boolean =>
  error instanceof Error && error.cause instanceof Error && error.cause.name === 'TimeoutError';

async function readStatus(ask: ConnectClient, name: string): Promise<ConnectorStatus> {
  const answer = await ask('GET', `/connectors/${name}/status`);
  if (!isObject(answer)) return { name, state: 'MISSING', tasks: [], error: null, trace: null };
  const connector = isObject(answer.connector) ? answer.connector : {};
  const parts = Array.isArray(answer.tasks) ? answer.tasks.filter(isObject) : [];
  const failed = [connector, ...parts].find((part) => part.state === 'FAILED');
  const trace = failed?.trace === undefined ? null : String(failed.trace);
  const unlike = parts.find((part) => part.state !== connector.state);
  return {
    name,
    state: failed ? 'FAILED' : String(unlike?.state ?? connector.state),
    tasks: parts.map((part) => ({
      id: Number(part.id),
      state: String(part.state),
      worker_id: String(part.worker_id),
    })),
    error: trace?.split('\n')[0] ?? null,
    trace,
  };
}

function isSame(present: unknown, wanted: ConnectorConfig): boolean {
  if (!isObject(present)) return false;
  const names = new Set([...Object.keys(present), ...Object.keys(wanted)]);
  return [...names].every((name) => present[name] === wanted[name]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
