/** ragline topics: the topics of schemas/src/topics.ts, on Kafka. */
import { allTopics } from '@ragline/schemas/topics';
import type { Command } from 'commander';
import { applyTopics, inspectTopics } from './parts/apply-topics.ts';
import { kafkaFrom, withAdmin } from './parts/kafka.ts';
import { duration, print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

type Options = { json?: boolean };

export function register(program: Command): void {
  const topics = program.command('topics').description('Kafka topics: how they are, and as they should be.');

  topics
    .command('list')
    .description('Shows every topic, and where it differs from schemas/src/topics.ts.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const kafka = kafkaFrom(await readSettings(), 'ragline-topics');
      const states = await withAdmin(kafka, (admin) => inspectTopics(admin, allTopics));
      print(states, json === true, ({ topic, partitions, key, owner, retention_ms, drift }) => ({
        topic,
        partitions,
        key,
        owner,
        retention: duration(retention_ms),
        'differs in': drift,
      }));
    });

  topics
    .command('apply')
    .description('Creates missing topics and alters settings that differ. Never changes partitions.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const kafka = kafkaFrom(await readSettings(), 'ragline-topics');
      print(await withAdmin(kafka, (admin) => applyTopics(admin, allTopics)), json === true);
    });
}
