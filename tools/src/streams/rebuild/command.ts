/** ragline streams rebuild */
import { createInterface } from 'node:readline/promises';
import { slotName } from '@ragline/postgres/slot';
import { allTopics, type Topic, topics } from '@ragline/schemas/topics';
import type { Command } from 'commander';
import { connectorName } from '../../parts/apply-connector.ts';
import { accessFrom, kafkaFrom } from '../../parts/kafka.ts';
import { print } from '../../parts/output.ts';
import { readSettings } from '../../parts/settings.ts';
import { fromOutbox, outboxTables } from '../outbox-rows.ts';
import { rebuild } from './rebuild.ts';

type Options = {
  since?: string;
  topics?: string;
  recreate?: boolean;
  restored?: boolean;
  evenIfLate?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
};

export function register(streams: Command): void {
  streams
    .command('rebuild')
    .description(
      `Writes to Kafka what the outboxes hold and the topics do not: same ids, bytes, keys and order. Stops the
connector meanwhile and lets it go on exactly behind what was written; orders may be placed all the while. Safe to
repeat, also after it was interrupted. docs/operations/ says when: kafka-lost.md, slot-lost.md, postgres-restored.md.`,
    )
    .option(
      '--since <time>',
      'look at events from then on only, such as 2026-01-31T12:00Z; else at all that a topic keeps',
    )
    .option('--recreate', 'delete the topics and make them anew first; their groups must be stopped')
    .option('--topics <list>', 'with --recreate: only these, such as orders.v1,catalog.v1')
    .option(
      '--restored',
      'Postgres was restored to an earlier time: --recreate, and empty what tells of later without an outbox',
    )
    .option(
      '--even-if-late',
      'write also what is missing before later events of its key, which it then comes after',
    )
    .option('--dry-run', 'change nothing: say what is missing, what is still on its way included')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const settings = await readSettings();
      const written = fromOutbox(allTopics);
      const chosen = namesOf(
        options.topics,
        written.map(({ name }) => name),
      );
      if (options.restored === true && (options.topics ?? options.since) !== undefined)
        throw new Error('--restored makes all of it anew: without --topics and --since');
      const isAnew = options.recreate === true || options.restored === true;
      const recreate = isAnew ? chosen : [];
      const empty = options.restored === true ? allTopics.filter(isForgotten) : [];
      if (options.topics !== undefined && !isAnew)
        throw new Error(
          '--topics says what --recreate makes anew; without it every topic is completed, whole or not',
        );
      const since = timeOf(options.since);
      if (options.dryRun !== true && options.yes !== true)
        await ask([...recreate, ...empty.map(({ name }) => name)]);
      const report = await rebuild({
        databaseUrl: settings.get('DATABASE_URL'),
        kafka: kafkaFrom(settings, 'ragline-rebuild'),
        access: accessFrom(settings),
        connector: {
          connectUrl: settings.get('CONNECT_URL'),
          cdcUrl: settings.get('DATABASE_URL_RAGLINE_CDC'),
          name: connectorName,
        },
        slotName,
        topics: written,
        tables: await outboxTables(),
        ...{ recreate, empty },
        ...(since === undefined ? {} : { since }),
        evenIfLate: options.evenIfLate === true,
        dryRun: options.dryRun === true,
        onProgress: options.json ? () => {} : (text) => process.stderr.write(`${text}\n`),
      });
      if (options.json) return void process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      const verb = options.dryRun ? 'missing' : 'written';
      print(report.topics, false, ({ topic, there, written, expired, late }) => ({
        topic,
        'was there': there,
        [verb]: written,
        'beyond retention': expired,
        ...(late > 0 ? { 'keys out of order': late } : {}),
      }));
    });
}

/**
 * Topics of no outbox that are about rows which a restored Postgres has as they were before, or not at all: events of
 * answers, whose readers get them by REST again, and letters of our groups, whose records wait in Postgres and are
 * announced from there. Calls of models were made all the same.
 */
const isForgotten = ({ name, owner }: Topic): boolean =>
  name === topics.chatEvents.name || (owner !== 'others' && name.endsWith('.dlq'));

/** Throws an Error that names a topic which cannot be written again. */
export function namesOf(list: string | undefined, rebuildable: readonly string[]): string[] {
  if (list === undefined) return [...rebuildable];
  const names = list.split(',').map((name) => name.trim());
  for (const name of names) {
    if (rebuildable.includes(name)) continue;
    throw new Error(
      `${name} is written by no outbox, so nothing else knows what was on it. These can be written again: ${rebuildable.join(', ')}`,
    );
  }
  return names;
}

/** Throws an Error for what is no time, or lies ahead. */
export function timeOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime()) || time.getTime() > Date.now())
    throw new Error(`--since ${text} is no time in the past: write 2026-01-31 or 2026-01-31T12:00Z`);
  return time;
}

async function ask(recreated: readonly string[]): Promise<void> {
  const deed =
    recreated.length > 0
      ? `Delete ${recreated.join(', ')} and write them again?`
      : 'Stop the connector and write what is missing?';
  if (!process.stdin.isTTY) throw new Error(`${deed} Nobody is there to answer: --yes does it`);
  const questions = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await questions.question(`${deed} (yes/no) `);
  questions.close();
  if (answer.trim().toLowerCase() !== 'yes') throw new Error('Nothing was changed');
}
