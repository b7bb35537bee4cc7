/** What these measurements share: a database of their own, topics and groups, and orders in them. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { migrate } from '@ragline/postgres/migrate';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import type { Kafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import pg from 'pg';
import { kafkaFrom, withAdmin } from '../../parts/kafka.ts';
import type { Settings } from '../../parts/settings.ts';

export const log = createLogger({ service: 'bench', level: 'error' });
export const partitions = 12;

export type BenchDatabase = {
  /** As the owner of the tables. */
  owner: pg.Pool;
  urlOf(role: 'ragline_notifications' | 'ragline_dead_letters'): string;
  drop(): Promise<void>;
};

/** A migrated database beside the stack's, so that a million letters leave nothing behind. */
export async function makeDatabase(settings: Settings): Promise<BenchDatabase> {
  const name = `bench_${randomUUID().slice(0, 8)}`;
  const url = new URL(settings.get('DATABASE_URL'));
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  url.pathname = `/${name}`;
  await migrate({ databaseUrl: url.href, log });
  const owner = new pg.Pool({ connectionString: url.href, max: 4 });
  // Its last idle connection may be ended by the drop.
  owner.on('error', () => {});
  return {
    owner,
    urlOf(role) {
      const own = new URL(settings.get(`DATABASE_URL_${role.toUpperCase()}`));
      own.pathname = `/${name}`;
      return own.href;
    },
    async drop() {
      await owner.end();
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

export function poolTo(url: string, max: number): Pool {
  const metrics = createMetrics({ service: 'bench' });
  return createPool({
    url,
    max,
    applicationName: 'bench-dead-letters',
    statementTimeoutMs: 60_000,
    log,
    metrics,
  });
}

export const connect = (settings: Settings): Kafka => kafkaFrom(settings, 'bench-dead-letters');

/** Topics of these names until `drop`, which forgets the groups too. */
export async function makeTopics(kafka: Kafka, names: readonly string[]): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    const configEntries = [
      { name: 'compression.type', value: 'gzip' },
      { name: 'max.message.bytes', value: String(2 * 1024 * 1024) },
    ];
    const topics = names.map((topic) => ({ topic, numPartitions: partitions, configEntries }));
    await admin.createTopics({ waitForLeaders: true, topics });
  });
}

export async function dropTopics(
  kafka: Kafka,
  names: readonly string[],
  groups: readonly string[],
): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    await admin.deleteTopics({ topics: [...names] });
    for (const group of groups) await admin.deleteGroups([group]).catch(() => []);
  });
}

export const newGroup = () => {
  const groupId = `bench-${randomUUID().slice(0, 8)}`;
  return { groupId, deadLetters: deadLetterTopicOf(groupId) };
};

export type Filled = {
  keys: readonly string[];
  records: number;
};

const tenantsMany = 100;

/** Writes order events of a hundred tenants to a topic, until it is stopped. */
export async function startFiller(settings: Settings, kafka: Kafka, topic: string) {
  const tenants = Array.from({ length: tenantsMany }, () => randomUUIDv7());
  const encode = await createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }).encoder('order_v1');
  const producer = await startProducer({ kafka, log });
  return {
    /** That many, over the keys in turn. */
    async write(keys: readonly string[], count: number): Promise<void> {
      const batch = Array.from({ length: count }, (_, at) => {
        const key = keys[at % keys.length] ?? '';
        const event = anOrderEvent({ tenant_id: tenants[at % tenants.length] });
        const { event_id: id, event_type, tenant_id, user_id } = event;
        const headers = { id, event_type, tenant_id, user_id, 'content-type': 'application/avro' };
        return { key, value: encode({ ...event, order: { ...event.order, id: key } }), headers };
      });
      await producer.send(topic, batch);
    },
    stop: () => producer.stop(),
  };
}

export const newKeys = (count: number) => Array.from({ length: count }, () => randomUUIDv7());

/** Writes that many order events over the keys, in turn, 2,000 at a time. */
export async function fillTopic(
  settings: Settings,
  kafka: Kafka,
  topic: string,
  records: number,
  keyCount: number,
): Promise<Filled> {
  const keys = newKeys(keyCount);
  const filler = await startFiller(settings, kafka, topic);
  try {
    for (let at = 0; at < records; at += 2_000) {
      const turned = [...keys.slice(at % keyCount), ...keys.slice(0, at % keyCount)];
      await filler.write(turned, Math.min(2_000, records - at));
    }
  } finally {
    await filler.stop();
  }
  return { keys, records };
}

/** The first of the keys, that share of them. */
export function someOf(keys: readonly string[], share: number): ReadonlySet<string> {
  return new Set(keys.slice(0, Math.round(keys.length * share)));
}

/** Resolves with the moment of the last call when `count` of them have come; throws after five minutes. */
export function counter(count: number) {
  let seen = 0;
  let firstAt = 0;
  const { promise, resolve, reject } = Promise.withResolvers<{
    seconds: number;
    firstAt: number;
    lastAt: number;
  }>();
  const timer = setTimeout(() => reject(new Error(`Only ${seen} of ${count} within five minutes`)), 300_000);
  return {
    done: promise.finally(() => clearTimeout(timer)),
    seen: () => seen,
    add(more = 1): void {
      const now = performance.now();
      firstAt ||= now;
      seen += more;
      if (seen >= count) resolve({ seconds: (now - firstAt) / 1_000, firstAt, lastAt: now });
    },
  };
}
