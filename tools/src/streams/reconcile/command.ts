/** ragline streams reconcile */
import { slotName } from '@ragline/postgres/slot';
import { createCodec } from '@ragline/schemas/codec';
import { allTopics } from '@ragline/schemas/topics';
import type { Command } from 'commander';
import { accessFrom } from '../../parts/kafka.ts';
import { print } from '../../parts/output.ts';
import { readSettings, type Settings } from '../../parts/settings.ts';
import { fromOutbox, outboxTables } from '../outbox-rows.ts';
import { timeOf } from '../rebuild/command.ts';
import { type Reconciled, type ReconcileOptions, reconcile } from './reconcile.ts';
import { watch } from './watch.ts';
import { writeWithdrawn } from './withdrawn-file.ts';

type Options = {
  since?: string;
  json?: boolean;
  withdrawn?: string;
  every?: string;
  port: string;
  host: string;
};

const shownMax = 50;

export function register(streams: Command): void {
  streams
    .command('reconcile')
    .description(
      `Compares outboxes and topics by the ids of events: names every hole (in an outbox, on no topic) and every phantom (on a
topic, in no outbox). Changes nothing. Exit code 1 when there is any; holes are mended by "streams rebuild".`,
    )
    .option('--since <time>', 'look at events from then on only, such as 2026-01-31T12:00Z')
    .option('--json', 'print all of it as JSON')
    .option(
      '--withdrawn <file>',
      'write orders that Postgres does not know, or knows as they were before, into a new file: a line of JSON each, with what the last event says. Then the exit code is 0 whatever was found',
    )
    .option(
      '--every <minutes>',
      'go on, and compare again so often: each time what came since the last time but one',
    )
    .option('--port <port>', 'with --every: where /metrics and /healthz are', '9105')
    .option('--host <address>', 'with --every: the address to listen on', '127.0.0.1')
    .action(async (options: Options) => {
      const settings = await readSettings();
      const since = timeOf(options.since);
      if (options.every !== undefined) {
        const everyMs = minutes(options.every) * 60_000;
        await watch({
          run: (from) => compare(settings, from),
          ...{ everyMs, host: options.host, port: Number(options.port) },
          since,
        });
        return;
      }
      if (options.withdrawn !== undefined) {
        const codec = createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
        const { result, unread } = await writeWithdrawn(options.withdrawn, codec, (onWithdrawn) =>
          compare(settings, since, onWithdrawn),
        );
        show(result, options.json === true);
        if (unread > 0)
          throw new Error(
            `${options.withdrawn} names every order, but ${unread} of them without "event": their topic has dropped it while it was read. Another run would not find these orders at all: keep this file`,
          );
        return;
      }
      const result = await compare(settings, since);
      show(result, options.json === true);
      if (result.topics.some(({ holes, phantoms }) => holes + phantoms > 0)) process.exitCode = 1;
    });
}

async function compare(
  settings: Settings,
  since: Date | undefined,
  onWithdrawn?: ReconcileOptions['onWithdrawn'],
): Promise<Reconciled> {
  return reconcile({
    databaseUrl: settings.get('DATABASE_URL'),
    cdcUrl: settings.get('DATABASE_URL_RAGLINE_CDC'),
    access: accessFrom(settings),
    slotName,
    topics: fromOutbox(allTopics),
    tables: await outboxTables(),
    ...(since === undefined ? {} : { since }),
    ...(onWithdrawn === undefined ? {} : { onWithdrawn }),
  });
}

function show(result: Reconciled, json: boolean): void {
  if (json) return void process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  print(result.topics, false, ({ on_the_way, ...counts }) => ({ ...counts, 'on the way': on_the_way }));
  const say = (text: string) => process.stdout.write(`${text}\n`);
  for (const { topic, event_id, key, created_at } of result.holes.slice(0, shownMax)) {
    say(`hole     ${topic}  event ${event_id}  key ${key}  of ${created_at}`);
  }
  for (const { topic, partition, offset, event_id, key, written_at } of result.phantoms.slice(0, shownMax)) {
    say(`phantom  ${topic}/${partition} @${offset}  event ${event_id}  key ${key}  of ${written_at}`);
  }
  const more = Math.max(0, result.holes.length - shownMax) + Math.max(0, result.phantoms.length - shownMax);
  if (more > 0) say(`and ${more} more: --json lists them`);
  const withdrawn = result.withdrawn_orders.slice(0, shownMax);
  for (const { order_id, tenant_id, kind, topic, partition, offset, written_at } of withdrawn) {
    say(
      `${words[kind]}  order ${order_id}  tenant ${tenant_id}  ${topic}/${partition} @${offset} of ${written_at}`,
    );
  }
  if (result.withdrawn > shownMax)
    say(`and ${result.withdrawn - shownMax} more orders: --withdrawn writes them`);
}

const words = { withdrawn: 'withdrawn ', taken_back: 'taken back' };

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--every ${text}: how many minutes?`);
  return value;
}
