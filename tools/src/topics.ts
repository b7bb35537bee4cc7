/** ragline topics: the topics of schemas/src/topics.ts, on Kafka. */
import { allTopics, groupTopics, type Topic } from '@ragline/schemas/topics';
import { delaysFrom, retryTopicsOf, usualDelaysMs } from '@ragline/streams/retry/names';
import type { Command } from 'commander';
import { ensureAcls, type Right, rightsOf, topicNames } from '../../infra/local/acls.ts';
import { kafkaClient } from '../../infra/local/kafka.ts';
import { applyTopics, inspectTopics } from './parts/apply-topics.ts';
import { accessFrom, kafkaFrom, withAdmin } from './parts/kafka.ts';
import { duration, print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';
import { beginTopicsAt } from './streams/rebuild/positions.ts';

type Options = { json?: boolean };
type GroupOptions = Options & { partitions: string; order: string; delays?: string };

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
    .description(
      'Creates missing topics and alters settings that differ. Never changes partitions. With DATABASE_URL, of a migrated database: places in topics that were made anew are forgotten, so run it before the connector.',
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const kafka = kafkaFrom(settings, 'ragline-topics');
      const outcomes = await withAdmin(kafka, (admin) => applyTopics(admin, allTopics));
      const databaseUrl = settings.find('DATABASE_URL');
      if (databaseUrl !== undefined) {
        const topics = allTopics.map(({ name }) => name);
        await beginTopicsAt({ databaseUrl, access: accessFrom(settings), topics });
      }
      print(outcomes, json === true);
    });

  topics
    .command('rights')
    .description(
      'Grants each service on Kafka what its work needs; for a Kafka whose users are named as those of npm start.',
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const [brokers, user] = [settings.get('KAFKA_BROKERS'), settings.find('KAFKA_USERNAME')];
      const names = topicNames();
      await ensureAcls(kafkaClient(brokers, user, settings.find('KAFKA_PASSWORD')), names);
      print(grantedBy(rightsOf(names)), json === true);
    });

  topics
    .command('group <id>')
    .description(
      'Makes the topics of a consumer group of your own: its dead letters, and where it keeps no order its tiers.',
    )
    .requiredOption('--partitions <n>', 'as many as the largest topic that it reads')
    .option('--order <order>', 'by-key or none', 'by-key')
    .option('--delays <list>', `of a group without order, in ms (${usualDelaysMs.join(',')})`)
    .option('--json', 'print JSON')
    .action(async (id: string, options: GroupOptions) => {
      const wanted = topicsOfGroup(id, options);
      const kafka = kafkaFrom(await readSettings(), 'ragline-topics');
      print(await withAdmin(kafka, (admin) => applyTopics(admin, wanted)), options.json === true);
    });
}

/** A row for each right: who may do what, or may not whatever else is allowed. */
export function grantedBy(rights: Record<string, Right[]>) {
  return Object.entries(rights).flatMap(([user, list]) =>
    list.map(({ resource, name, match, denied, operations }) => ({
      user,
      may: denied ? 'never' : 'yes',
      operations,
      resource,
      name: match === 'prefixed' ? `${name}*` : name,
    })),
  );
}

/** Throws an Error that names the argument that cannot be. */
export function topicsOfGroup(
  id: string,
  { partitions, order, delays }: Omit<GroupOptions, 'json'>,
): Topic[] {
  if (!/^[\w.-]{1,200}$/.test(id)) throw new Error(`${id} is no name of a group`);
  if (!/^[1-9]\d{0,3}$/.test(partitions))
    throw new Error(`--partitions ${partitions} is no number from 1 to 9999`);
  if (order !== 'by-key' && order !== 'none') throw new Error(`--order is by-key or none, not ${order}`);
  if (order === 'by-key' && delays !== undefined)
    throw new Error('--delays make topics for a group without order; one with order waits in Postgres');
  const delaysMs = delays === undefined ? usualDelaysMs : delaysFrom(delays.split(','));
  return groupTopics({
    groupId: id,
    owner: 'others',
    partitions: Number(partitions),
    retryTopics: order === 'none' ? retryTopicsOf(id, delaysMs) : [],
  });
}
