/** ragline dead-letters batch: many letters at once, slowly, and stopping by itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { print } from '../parts/output.ts';
import { isJson, type Json } from '../seed/rest.ts';
import { type Client, type LoginOptions, withLogin } from './client.ts';
import { clientFrom, type FilterOptions, filterOf, withFilter } from './letters.ts';

const path = '/v1/dead-letters/batches';

type Output = { json?: boolean };
type CreateOptions = LoginOptions &
  FilterOptions &
  Output & {
    action: string;
    reason: string;
    ids?: string[];
    rate?: number;
    ramp?: number[];
    inFlight?: number;
    stopOnFailures?: number;
    delay?: number;
    dryRun?: boolean;
    wait?: boolean;
  };

export function registerBatch(parent: Command): void {
  const batch = parent
    .command('batch')
    .description('Replays or discards many letters, as one piece of work.');

  withFilter(withLogin(batch.command('create')))
    .description('Selects by filter or ids; the selection is frozen. With --dry-run it only counts.')
    .requiredOption('--action <action>', 'replay or discard')
    .requiredOption('--reason <text>', 'why, for those who read it later')
    .option('--ids <id...>', 'these letters, instead of a filter')
    .option('--rate <number>', 'letters a second at most', number)
    .option('--ramp <sizes>', 'first so many, then so many: 1,10,100', numbers)
    .option('--in-flight <number>', 'sent and without an outcome at most; 50', number)
    .option('--stop-on-failures <number>', 'sends nothing new after so many have failed again', number)
    .option('--delay <seconds>', 'can be cancelled without a trace for so long; 10', number)
    .option('--dry-run', 'only count')
    .option('--wait', 'until it is over; exit code 1 unless all went well')
    .option('--json', 'print JSON')
    .action(async (options: CreateOptions) => {
      const client = await clientFrom(options);
      const created = await client.post(path, bodyOf(options));
      const done = options.wait && !options.dryRun ? await until(client, String(created.id)) : created;
      show(done, options);
    });

  withLogin(batch.command('show <id>'))
    .description('Shows how far a batch is.')
    .option('--wait', 'until it is over; exit code 1 unless all went well')
    .option('--json', 'print JSON')
    .action(async (id: string, options: LoginOptions & Output & { wait?: boolean }) => {
      const client = await clientFrom(options);
      show(
        options.wait ? await until(client, id) : await client.get(`${path}/${encodeURIComponent(id)}`),
        options,
      );
    });

  for (const [verb, description] of [
    ['pause', 'Sends nothing new until it is resumed.'],
    ['resume', 'Goes on, also after it stopped itself.'],
    ['cancel', 'Sends nothing new, for good; what was sent is not taken back.'],
  ] as const) {
    withLogin(batch.command(`${verb} <id>`))
      .description(description)
      .option('--json', 'print JSON')
      .action(async (id: string, options: LoginOptions & Output) => {
        const client = await clientFrom(options);
        show(await client.post(`${path}/${encodeURIComponent(id)}/${verb}`), options);
      });
  }
}

export function bodyOf(options: CreateOptions): Json {
  const filter = filterOf(options);
  const { action, reason, ids, rate, ramp, inFlight, stopOnFailures, delay, dryRun } = options;
  if (ids !== undefined && Object.keys(filter).length > 0)
    throw new Error('Either --ids or filters, not both');
  // Everything at once is never meant by saying nothing.
  if (ids === undefined && Object.keys(filter).length === 0)
    throw new Error('Say which: --ids, or a filter such as --group');
  const body = {
    ...(ids === undefined ? { filter } : { ids }),
    action,
    reason,
    rate_per_s: rate,
    ramp,
    in_flight: inFlight,
    stop_on_failures: stopOnFailures,
    delay_s: delay,
    dry_run: dryRun,
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

const overStates = ['done', 'cancelled', 'stopped', 'failed'];

async function until(client: Client, id: string): Promise<Json> {
  for (;;) {
    const batch = await client.get(`${path}/${encodeURIComponent(id)}`);
    if (overStates.includes(String(batch.state))) {
      if (batch.state !== 'done' || hasFailures(batch)) process.exitCode = 1;
      return batch;
    }
    await sleep(500);
  }
}

const hasFailures = ({ counts }: Json) => isJson(counts) && Number(counts.failed ?? 0) > 0;

function show(batch: Json, { json }: Output): void {
  print([batch], json === true, ({ id, state, action, counts }) => ({
    id,
    state,
    action,
    ...(isJson(counts) ? counts : {}),
  }));
}

function number(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a number.');
}

const numbers = (text: string): number[] => text.split(',').map(number);
