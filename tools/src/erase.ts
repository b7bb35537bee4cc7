/** ragline erase: a person, from every store there is. */
import { createInterface } from 'node:readline/promises';
import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import type { Command } from 'commander';
import { type Erased, erase } from './erase/erase.ts';
import { findPerson } from './erase/person.ts';
import { kafkaFrom } from './parts/kafka.ts';
import { print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

type Options = {
  tenant: string;
  user: string;
  text: string[];
  cut: string[];
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
};

const statementTimeoutMs = 600_000;

export function register(program: Command): void {
  const list = (value: string, before: string[]) => [...before, value];
  program
    .command('erase')
    .description(
      'Erases a person: account, sessions, texts on orders, conversations, notifications, dead letters, caches, records.\n' +
        'Orders stay for the books, under an id that leads to nobody. See docs/operations/person-erased.md.',
    )
    .requiredOption('--tenant <slug>', 'the tenant')
    .requiredOption('--user <address|id>', 'the user, by e-mail address or id')
    .option('--text <text>', 'what else names the person, such as a full name; may be given again', list, [])
    .option(
      '--cut <topic>',
      'cut this topic too, although others’ events go with it; may be given again',
      list,
      [],
    )
    .option('--dry-run', 'count what would go, change nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print the outcome as JSON')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const short = options.text.find((text) => text.trim().length < 4);
  if (short !== undefined)
    throw new Error(`--text ${short} is too short: it would match what is not the person's`);
  const settings = await readSettings();
  const log = createLogger({ service: 'ragline', level: 'error' });
  const metrics = createMetrics({ service: 'ragline' });
  const url = settings.get('DATABASE_URL');
  const pool = createPool({
    url,
    max: 2,
    applicationName: 'ragline-erase',
    statementTimeoutMs,
    log,
    metrics,
  });
  try {
    const person = await findPerson(pool, options.tenant, options.user);
    if (person.is_last_admin && options.dryRun !== true) {
      throw new Error('This is the only active admin of the tenant: make another one first');
    }
    if (options.dryRun !== true && options.yes !== true) await ask(options);
    // First of all: whoever goes on after the account has gone needs it, and nothing leads from the address to it then.
    process.stderr.write(`user ${person.user_id}\n`);
    const outcome = await erase(
      {
        pool,
        codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
        kafka: kafkaFrom(settings, 'ragline-erase'),
        access: {
          brokers: settings.get('KAFKA_BROKERS').split(','),
          username: settings.find('KAFKA_USERNAME'),
          password: settings.find('KAFKA_PASSWORD'),
          saslMechanism: settings.find('KAFKA_SASL_MECHANISM'),
        },
        redisUrl: settings.find('REDIS_URL'),
        say: (step) => process.stderr.write(`${step} …\n`),
      },
      person,
      { texts: options.text, cut: options.cut, dryRun: options.dryRun === true },
    );
    show(outcome, options.json === true);
    if (outcome.remaining.length > 0) process.exitCode = 1;
  } finally {
    await pool.end();
  }
}

async function ask({ tenant, user }: Options): Promise<void> {
  if (!process.stdin.isTTY) throw new Error('There is nobody to ask: --yes erases without asking');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Erase ${user} of ${tenant}? This cannot be undone. Type "erase": `);
  terminal.close();
  if (answer.trim() !== 'erase') throw new Error('Nothing was erased');
}

function show(outcome: Erased, json: boolean): void {
  if (json) return void process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
  const rows = Object.entries(outcome.counts).flatMap(([store, kinds]) =>
    Object.entries(kinds).map(([what, count]) => ({ store, what, count })),
  );
  print(rows, false);
  for (const [title, list] of [
    ['still there', outcome.remaining],
    ['for others to decide', outcome.to_decide],
  ] as const) {
    if (list.length === 0) continue;
    process.stdout.write(`\n${title}:\n`);
    print(list, false);
  }
  process.stdout.write(
    `\n${outcome.dry_run ? 'Nothing was changed' : `Erasure ${outcome.id} of user ${outcome.user_id}`}\n`,
  );
}
