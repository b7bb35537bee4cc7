/**
 * The second half of `npm start`, on the project's own Node: starts the stack, proves it with an order, and stays
 * until Ctrl-C.
 */
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { SettingsError } from '@ragline/runtime/settings';
import { askModel } from '../../tools/src/parts/assistant-model.ts';
import { trainLater } from './aot.ts';
import { startDemoTraffic } from './demo-traffic.ts';
import { createDisplay, seconds } from './display.mjs';
import { failureLines, lastLines, StartFailure } from './failure.ts';
import { dataDirOf, isRoot, postgresHomeOf } from './layout.mjs';
import { isAlive, leftovers, signal } from './processes.ts';
import { shown } from './progress.ts';
import { proveRoundTrip } from './proof.ts';
import { startReconcile } from './reconcile.ts';
import { removeData } from './remove-data.ts';
import { type Stack, startStack } from './start-stack.ts';
import { AlreadyRunning, holderOf } from './state.ts';
import { summary } from './summary.ts';
import type { SupervisorEvent } from './supervisor.ts';

const help = `npm start [-- OPTIONS]    starts RAGline and everything that it needs on this machine

  --parts        the parts alone, with the connector stopped: for mending, as docs/operations/ tells
  --reset        begins anew: removes the data of the embedded parts (asks first)
  --yes          does not ask
  --json         prints JSON lines
  --help         this text

Settings: docs/operations/README.md. More commands: npx ragline --help`;

const { values: options } = parseArgs({
  options: {
    parts: { type: 'boolean', default: false },
    reset: { type: 'boolean', default: false },
    yes: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(help);
  process.exit(0);
}

const began = Number(process.env.RAGLINE_STARTED_AT) || performance.timeOrigin;
const dataDir = dataDirOf(process.env);
const display = createDisplay({ json: options.json });

let stack: Stack | undefined;
/** Names of processes that ended, or were ended, and have not come back. */
const away = new Set<string>();
const stopping = new AbortController();
const ended = stopOnSignals();

try {
  if (options.reset) await reset();
  stack = await startStack({
    ...{ dataDir, mending: options.parts, signal: stopping.signal },
    ...{ onProgress: display.event, onEvent: report },
  });
  await (options.parts ? mending(stack) : ready(stack));
} catch (error) {
  await failed(error);
}

async function ready(running: Stack): Promise<void> {
  const { env } = running;
  const url = env.RAGLINE_URL ?? '';
  const password = env.RAGLINE_DEMO_PASSWORD ?? '';
  const hasSamples = process.env.RAGLINE_ENV !== 'production';
  const roundTripMs = hasSamples
    ? await shown(
        display.event,
        'proof',
        'an order',
        () => prove(url, running),
        (ms) => `an order travelled database → Kafka → socket in ${Math.round(ms)} ms`,
      )
    : undefined;
  const readyMs = Date.now() - began;
  display.data({
    event: 'ready',
    url,
    ready_ms: Math.round(readyMs),
    round_trip_ms: roundTripMs,
    logs: running.context.logsDir,
  });
  const hasTraffic = hasSamples && process.env.RAGLINE_DEMO_TRAFFIC !== '0';
  display.text(
    summary({
      env,
      readyMs,
      logs: path.relative(process.cwd(), running.context.logsDir),
      hasSamples,
      hasTraffic,
      // What it says is for a person: the stack is ready without it.
      model: await askModel(env.URL_CHAT_1 ?? '').catch(() => undefined),
      postgresHome: isRoot && !process.env.DATABASE_URL ? postgresHomeOf(dataDir) : undefined,
    }),
  );
  display.end();
  const traffic = hasTraffic ? startDemoTraffic(url, password) : undefined;
  // Of no use to whoever waits for the first page, so it comes behind; without it everything runs.
  const supervision = { signal: stopping.signal, onEvent: report };
  const comparing = startReconcile(running, process.env.RAGLINE_RECONCILE_MINUTES || '60', supervision).catch(
    tellUncompared,
  );
  const training = process.env.RAGLINE_AOT === '0' ? undefined : trainLater(running.context, tellTraining);
  await ended;
  console.log(options.json ? JSON.stringify({ event: 'stopping' }) : '\n  Stopping …');
  await training?.stop();
  await traffic?.stop();
  await (await comparing)?.stop();
  await end(running);
}

/** Parts alone, for as long as somebody mends them. */
async function mending(running: Stack): Promise<void> {
  display.data({ event: 'parts_ready', logs: running.context.logsDir });
  display.text('\n  The parts run. Services do not, and the connector stands.    Stop: Ctrl-C\n');
  display.end();
  await ended;
  await end(running);
}

async function end(running: Stack): Promise<void> {
  await running.stop();
  const kept = `The data is kept in ${dataDir}.`;
  console.log(
    options.json ? JSON.stringify({ event: 'stopped' }) : `  Stopped. ${kept} Start again: npm start`,
  );
  process.exit(0);
}

async function prove(url: string, running: Stack): Promise<number> {
  try {
    return await proveRoundTrip(url, running.context.secrets.sentinel);
  } catch (error) {
    throw new StartFailure(
      'proof',
      `Everything answers, but an order did not get through: ${messageOf(error)}`,
      {
        cause: error,
        mend: 'npm start',
        logFile: running.process('connect').logFile,
      },
    );
  }
}

async function failed(error: unknown): Promise<never> {
  display.end();
  if (error instanceof AlreadyRunning) {
    display.data({
      event: 'already_running',
      pid: error.holder.pid,
      url: error.url,
      since: error.holder.since,
    });
    display.text(
      `\n  ${error.message}, since ${error.holder.since}.\n  Check it: npx ragline doctor    Stop it: kill ${error.holder.pid}\n`,
    );
    process.exit(0);
  }
  if (stopping.signal.aborted) {
    console.log('\n  Stopped before it was ready. The data is kept.');
    process.exit(130);
  }
  await stack?.stop().catch(() => {});
  const failure = asFailure(error);
  const { part, message, mend, logFile, more } = failure;
  display.data({
    event: 'failed',
    part,
    cause: message,
    log_lines: lastLines(logFile),
    mend,
    more,
    log_file: logFile,
  });
  display.text(`\n  ${failureLines(failure).join('\n  ')}\n`);
  process.exit(1);
}

function asFailure(error: unknown): StartFailure {
  if (error instanceof StartFailure) return error;
  if (error instanceof SettingsError) {
    return new StartFailure('settings', error.message, {
      mend: 'set them right and run npm start again (docs/operations/README.md)',
    });
  }
  const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
  return new StartFailure('start', full ? `The disk is full: ${messageOf(error)}` : messageOf(error), {
    cause: error,
    mend: full ? 'free some space, then npm start' : 'npx ragline doctor',
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The first signal stops in order; the second kills everything at once. */
function stopOnSignals(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (stopping.signal.aborted) return killAll();
        stopping.abort(new Error('stopped'));
        resolve();
      });
    }
  });
}

function killAll(): void {
  const pids = leftovers(dataDir).filter(isAlive);
  for (const pid of pids) signal(pid, 'SIGKILL');
  console.log(`\n  Killed ${pids.length} processes. The data is kept; the next start looks after it.`);
  process.exit(130);
}

async function reset(): Promise<void> {
  const holder = holderOf(dataDir);
  if (holder) throw new AlreadyRunning(holder, undefined);
  if (!options.yes) {
    if (!process.stdin.isTTY) {
      throw new StartFailure(
        'reset',
        '--reset removes all data and asks first, but nobody is there to answer',
        {
          mend: 'npm start -- --reset --yes',
        },
      );
    }
    const questions = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await questions.question(
      `  Remove all data in ${dataDir}, the replication slot with it? (yes/no) `,
    );
    questions.close();
    if (answer.trim().toLowerCase() !== 'yes') {
      console.log('  Nothing was removed.');
      process.exit(1);
    }
  }
  await removeData(dataDir);
}

function tellTraining(outcome: { trained: string[] } | { failed: string }): void {
  display.data({ event: 'training', ...outcome });
  if (display.mode === 'json') return;
  const names = 'trained' in outcome ? outcome.trained.join(', ') : '';
  const said =
    'failed' in outcome
      ? `! no start-up caches were made: ${outcome.failed}`
      : `✓ start-up caches made (${names}): the next start is quicker`;
  console.log(`  ${said}`);
}

function tellUncompared(error: unknown): undefined {
  if (stopping.signal.aborted) return;
  display.data({ event: 'reconcile_failed', cause: messageOf(error) });
  if (display.mode !== 'json') console.log(`  ! outboxes and topics are not compared: ${messageOf(error)}`);
}

/** What happens to a running stack, in a line each. */
function report(event: SupervisorEvent): void {
  if (event.kind === 'started' || event.kind === 'ready' || event.kind === 'stopped') {
    if (event.kind !== 'ready' || stopping.signal.aborted) return;
    const isBack = away.delete(event.name);
    if (stack === undefined) return;
    display.data({ event: 'process', ...event });
    if (isBack && display.mode !== 'json') console.log(`  ✓ ${event.name} is back (pid ${event.pid})`);
    return;
  }
  if ('name' in event) away.add(event.name);
  if (stopping.signal.aborted) return;
  display.data({ event: 'process', ...event });
  if (display.mode === 'json') return;
  const lines: Record<string, () => string> = {
    died: () =>
      event.kind === 'died'
        ? `! ${event.name} ended (${event.signal ?? `exit code ${event.code}`}), starting it again in ${seconds(event.restartInMs)}`
        : '',
    unhealthy: () =>
      event.kind === 'unhealthy'
        ? `! ${event.name} failed its health check for 15 s (${event.reason}), killed`
        : '',
    not_ready: () => (event.kind === 'not_ready' ? `! ${event.name} did not come back: ${event.reason}` : ''),
    connector_restarted: () => '! the connector had failed and was started again',
  };
  const line = lines[event.kind]?.();
  if (line) console.log(`  ${line}`);
}
