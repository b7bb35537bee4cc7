/** Makes Kafka's topics as schemas/src/topics.ts says. */

import type { Topic } from '@ragline/schemas/topics';
import { makeTopics } from '@ragline/streams/make-topics';
import kafkajs, { type Admin } from 'kafkajs';

const { ConfigResourceTypes } = kafkajs;

export type TopicOutcome = {
  topic: string;
  partitions: number;
  outcome: 'created' | 'altered' | 'current';
  changes: string[];
};

/** The settings that we decide; everything else is the broker's. */
export function settingsOf(topic: Topic): Record<string, string> {
  return {
    'cleanup.policy': 'delete',
    'retention.ms': String(topic.retentionMs),
    'compression.type': topic.compression,
    'max.message.bytes': String(topic.maxMessageBytes),
    // The time of the append, so that retention and the delays we measure do not hang on a producer's clock.
    'message.timestamp.type': 'LogAppendTime',
  };
}

/**
 * Creates what is missing and alters settings that differ; safe to repeat.
 *
 * Throws an Error when a topic has another number of partitions: adding some would give a key a second place,
 * and with it a second order. That is for a new topic and a migration, not for a command.
 */
export async function applyTopics(
  admin: Admin,
  topics: readonly Topic[],
  { replicationFactor = -1 }: { replicationFactor?: number } = {},
): Promise<TopicOutcome[]> {
  const present = new Set(await admin.listTopics());
  const missing = topics.filter(({ name }) => !present.has(name));
  if (missing.length > 0) {
    await makeTopics(
      admin,
      missing.map((topic) => ({
        topic: topic.name,
        numPartitions: topic.partitions,
        replicationFactor,
        configEntries: Object.entries(settingsOf(topic)).map(([name, value]) => ({ name, value })),
      })),
    );
  }
  const outcomes: TopicOutcome[] = missing.map(({ name, partitions }) => ({
    topic: name,
    partitions,
    outcome: 'created',
    changes: [],
  }));
  const there = topics.filter(({ name }) => present.has(name));
  await refuseOtherPartitions(admin, there);
  for (const topic of there) {
    const changes = await alter(admin, topic);
    outcomes.push({
      topic: topic.name,
      partitions: topic.partitions,
      outcome: changes.length > 0 ? 'altered' : 'current',
      changes,
    });
  }
  return outcomes;
}

export type TopicState = {
  topic: string;
  partitions: number | null;
  key: string;
  owner: string;
  retention_ms: number;
  /** Settings that are not as they should be, as `name: is, not should`. */
  drift: string[];
};

/** How each topic is, without changing anything; `partitions` is null where it is missing. */
export async function inspectTopics(admin: Admin, topics: readonly Topic[]): Promise<TopicState[]> {
  const present = new Set(await admin.listTopics());
  const states: TopicState[] = [];
  for (const topic of topics) {
    const { name, key, owner, retentionMs } = topic;
    const known = { topic: name, key, owner, retention_ms: retentionMs };
    if (!present.has(name)) states.push({ ...known, partitions: null, drift: ['missing'] });
    else {
      const partitions = await partitionsOf(admin, name);
      const drift = (await differences(admin, topic)).map(
        ({ setting, is, should }) => `${setting}: ${is}, not ${should}`,
      );
      if (partitions !== topic.partitions) drift.push(`partitions: ${partitions}, not ${topic.partitions}`);
      states.push({ ...known, partitions, drift });
    }
  }
  return states;
}

async function refuseOtherPartitions(admin: Admin, topics: readonly Topic[]): Promise<void> {
  const faults: string[] = [];
  for (const { name, partitions } of topics) {
    const actual = await partitionsOf(admin, name);
    if (actual !== partitions) faults.push(`${name} has ${actual} partitions, not ${partitions}`);
  }
  if (faults.length > 0) {
    throw new Error(`${faults.join('; ')}. Partitions are not changed: keys would move and lose their order`);
  }
}

async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]?.partitions.length ?? 0;
}

async function alter(admin: Admin, topic: Topic): Promise<string[]> {
  const different = await differences(admin, topic);
  if (different.length === 0) return [];
  // AlterConfigs replaces the whole set, so what others have set on the topic is sent along.
  const others = await dynamicSettings(admin, topic.name);
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: topic.name,
        configEntries: Object.entries({ ...others, ...settingsOf(topic) }).map(([name, value]) => ({
          name,
          value,
        })),
      },
    ],
  });
  return different.map(({ setting, is, should }) => `${setting}: ${is} → ${should}`);
}

async function differences(admin: Admin, topic: Topic) {
  const settings = await describe(admin, topic.name);
  return Object.entries(settingsOf(topic)).flatMap(([setting, should]) => {
    const is = settings.find(({ configName }) => configName === setting)?.configValue ?? 'unknown';
    return is === should ? [] : [{ setting, is, should }];
  });
}

/** KIP-226: 1 is a setting of this topic; the rest is inherited. */
const ownSetting = 1;

async function dynamicSettings(admin: Admin, topic: string): Promise<Record<string, string>> {
  const settings = await describe(admin, topic);
  return Object.fromEntries(
    settings.flatMap(({ configName, configValue, configSource }) =>
      Number(configSource) === ownSetting ? [[configName, configValue]] : [],
    ),
  );
}

async function describe(admin: Admin, topic: string) {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  });
  return resources[0]?.configEntries ?? [];
}
