/** Kafka: one KRaft node, broker and controller in one process, both listeners with passwords, ACLs enforced. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import '@ragline/streams/kafkajs-guard';
import kafkajs, { type Kafka } from 'kafkajs';
import { need } from './fetch-parts.ts';
import { classPath, jvmCommand, log4jOption, properties } from './java-command.ts';
import { host, type PartContext, type Plan } from './part.ts';
import { runCommand } from './run-command.ts';
import { writePrivately } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

export const superUser = 'ragline';
export const brokersOf = ({ ports }: Plan): string => `${host}:${ports.kafka}`;

export const plainLogin = (user: string, password: string, more = ''): string =>
  `org.apache.kafka.common.security.plain.PlainLoginModule required username="${user}" password="${password}"${more};`;

export function kafka(context: PartContext): ProcessDefinition {
  const dir = path.join(context.dataDir, 'kafka');
  const logFile = path.join(context.logsDir, 'kafka.log');
  const config = path.join(dir, 'server.properties');
  return {
    name: 'kafka',
    logFile,
    command: async () => {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      // Also when it is started again: one that has lost its disk comes back empty, without topics and without rights,
      // so that nobody writes to it before somebody has followed docs/operations/kafka-lost.md.
      await format(context, dir, logFile);
      writePrivately(config, properties(serverProperties(context, path.join(dir, 'data'))));
      return jvmCommand(context, {
        name: 'kafka',
        options: [log4jOption()],
        main: ['-cp', classPath(path.join(need(context.files.jarsDir), 'kafka')), 'kafka.Kafka', config],
        cwd: dir,
      });
    },
    ready: () => describeCluster(brokersOf(context), superUser, context.secrets.kafka),
    readyWithinMs: 90_000,
    stopWithinMs: 20_000,
  };
}

function serverProperties(
  { ports, secrets }: Plan,
  logDirs: string,
): Record<string, string | number | boolean> {
  const users = { [superUser]: secrets.kafka, ...serviceUsers(secrets) };
  const known = Object.entries(users).map(([name, password]) => ` user_${name}="${password}"`);
  const login = plainLogin(superUser, secrets.kafka, known.join(''));
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${host}:${ports.kafka_controller}`,
    listeners: `CLIENT://${host}:${ports.kafka},CONTROLLER://${host}:${ports.kafka_controller}`,
    'advertised.listeners': `CLIENT://${host}:${ports.kafka}`,
    'listener.security.protocol.map': 'CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'CLIENT',
    'sasl.enabled.mechanisms': 'PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.client.plain.sasl.jaas.config': login,
    'listener.name.controller.plain.sasl.jaas.config': login,
    'listener.name.controller.sasl.enabled.mechanisms': 'PLAIN',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:${superUser}`,
    'allow.everyone.if.no.acl.found': false,
    'log.dirs': logDirs,
    // Every topic is made on purpose, with its own retention and compression.
    'auto.create.topics.enable': false,
    'num.partitions': 1,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 2,
    'group.initial.rebalance.delay.ms': 0,
    'broker.heartbeat.interval.ms': 1_000,
    'broker.session.timeout.ms': 6_000,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'num.recovery.threads.per.data.dir': 1,
    'log.cleaner.threads': 1,
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    'log.segment.bytes': 67_108_864,
  };
}

/** A Kafka user for each service that speaks to Kafka, and for Connect. */
export function serviceUsers(secrets: Plan['secrets']): Record<string, string> {
  return {
    connect: secrets.kafka_connect,
    identity: secrets.kafka_identity,
    orders: secrets.kafka_orders,
    notifications: secrets.kafka_notifications,
    'dead-letters': secrets.kafka_dead_letters,
    chat: secrets.kafka_chat,
  };
}

/** Formats the storage once; beside its place first, so that a killed start leaves none half-formatted. */
async function format(context: PartContext, dir: string, logFile: string): Promise<void> {
  const data = path.join(dir, 'data');
  if (existsSync(path.join(data, 'meta.properties'))) return;
  const work = path.join(dir, 'data.new');
  const config = path.join(dir, 'format.properties');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { mode: 0o700 });
  writePrivately(config, properties(serverProperties(context, work)));
  const command = jvmCommand(context, {
    name: 'kafka',
    options: [log4jOption(), '-XX:TieredStopAtLevel=1'],
    main: ['-cp', classPath(path.join(need(context.files.jarsDir), 'kafka')), 'kafka.tools.StorageTool'],
    cwd: dir,
  });
  command.args.push('format', '--cluster-id', newClusterId(), '--config', config);
  await runCommand(command, { logFile, dataDir: context.dataDir, withinMs: 120_000 });
  rmSync(config, { force: true });
  renameSync(work, data);
}

/** 22 characters of base64url. None begins with `-`: Kafka's own tools would take it for an option. */
export function newClusterId(random: (size: number) => Buffer = randomBytes): string {
  for (;;) {
    const id = random(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

/** Throws unless a broker answers and accepts the login. */
export async function describeCluster(brokers: string, username?: string, password?: string): Promise<void> {
  const admin = kafkaClient(brokers, username, password).admin();
  try {
    await admin.connect();
    const { brokers: found } = await admin.describeCluster();
    if (found.length === 0) throw new Error('no broker has registered yet');
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

export function kafkaClient(brokers: string, username?: string, password?: string): Kafka {
  return new kafkajs.Kafka({
    clientId: 'ragline-local',
    brokers: brokers.split(','),
    ...(username === undefined ? {} : { sasl: { mechanism: 'plain', username, password: password ?? '' } }),
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { retries: 0 },
    logLevel: kafkajs.logLevel.NOTHING,
  });
}
