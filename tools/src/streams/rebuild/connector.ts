/** The connector while topics are written again: it stands still, and goes on where the rebuild ends. */
import { setTimeout as pause } from 'node:timers/promises';
import { applyConnector, type ConnectorConfig, connectorStatus } from '../../parts/apply-connector.ts';
import { ConnectError, connectClient } from '../../parts/connect.ts';

export type ConnectorOptions = {
  connectUrl: string;
  cdcUrl: string;
  name: string;
  /** Lines of the configuration to replace; for tests. */
  changes?: ConnectorConfig;
};

const settledWithinMs = 60_000;
const answersWithinMs = 120_000;

/** Waits for a Connect that is just being started. */
export async function untilConnectAnswers({ connectUrl }: ConnectorOptions): Promise<void> {
  const ask = connectClient(connectUrl);
  const until = Date.now() + answersWithinMs;
  for (;;) {
    // 404 while it starts: no list is not an empty list.
    const answer = await ask('GET', '/connectors').catch((error: unknown) => error);
    if (Array.isArray(answer)) return;
    if (Date.now() > until) throw answer ?? new Error('Connect does not get ready');
    await pause(300);
  }
}

/** Stops it and resolves when its task has ended; says how it was: MISSING when Connect knows none. */
export async function holdConnector({ connectUrl, name }: ConnectorOptions): Promise<string> {
  const { state } = await connectorStatus({ connectUrl, name });
  if (state === 'MISSING') return state;
  await asked(connectUrl, 'PUT', `/connectors/${name}/stop`);
  const until = Date.now() + settledWithinMs;
  for (;;) {
    const now = await connectorStatus({ connectUrl, name });
    if (now.state === 'STOPPED' && now.tasks.length === 0) return state;
    if (Date.now() > until) throw new Error(`The connector ${name} does not stop: it is ${now.state}`);
    await pause(100);
  }
}

/** Brings it back to how it was before it was held; what runs reads on from where it was. */
export async function releaseConnector(
  { connectUrl, name }: ConnectorOptions,
  before: string,
): Promise<void> {
  if (before === 'MISSING' || before === 'STOPPED') return;
  await asked(connectUrl, 'PUT', `/connectors/${name}/${before === 'PAUSED' ? 'pause' : 'resume'}`);
}

/**
 * Forgets where it was, so that it begins where its slot does, and lets it run; made when there is none.
 *
 * Without a place of its own in Kafka, Debezium goes on from what Postgres has confirmed: the slot's.
 */
export async function restartAtSlot(options: ConnectorOptions): Promise<void> {
  const { connectUrl, name } = options;
  const { state } = await connectorStatus({ connectUrl, name });
  if (state !== 'MISSING') await asked(connectUrl, 'DELETE', `/connectors/${name}/offsets`);
  const changes = options.changes === undefined ? {} : { changes: options.changes };
  await applyConnector({ connectUrl, cdcUrl: options.cdcUrl, name, resume: true, ...changes });
}

/** 409, 500 and 503 pass: the workers agree on something, or one of them is not there yet. */
async function asked(connectUrl: string, method: string, path: string): Promise<void> {
  const ask = connectClient(connectUrl);
  const until = Date.now() + settledWithinMs;
  for (;;) {
    try {
      await ask(method, path);
      return;
    } catch (error) {
      const passing = error instanceof ConnectError && [409, 500, 503].includes(error.status);
      if (!passing || Date.now() > until) throw error;
      await pause(300);
    }
  }
}
