/** Kafka Connect with Debezium: exactly-once source, its REST interface and its metrics behind a password. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { need } from './fetch-parts.ts';
import { classPath, jarIn, jvmCommand, log4jOption, properties } from './java-command.ts';
import { plainLogin } from './kafka.ts';
import { basic, expectOk, host, type PartContext, type Plan } from './part.ts';
import { writePrivately } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

const user = 'ragline';

/** The group of the Connect workers; transactional ids begin with it too. */
export const connectGroup = 'ragline-connect';
export const connectTopics = ['_connect.configs', '_connect.offsets', '_connect.status'] as const;

export const connectUrl = ({ ports, secrets }: Plan): string =>
  `http://${user}:${secrets.connect}@${host}:${ports.connect}`;

export const connectMetricsUrl = ({ ports, secrets }: Plan): string =>
  `http://${user}:${secrets.connect}@${host}:${ports.connect_metrics}/metrics`;

export type BrokerLogin = { brokers: string; username: string | undefined; password: string | undefined };

export function connect(context: PartContext, broker: BrokerLogin): ProcessDefinition {
  const dir = path.join(context.dataDir, 'connect');
  const at = (name: string) => path.join(dir, name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const url = `http://${host}:${context.ports.connect}`;
  const authorization = basic(user, context.secrets.connect);
  return {
    name: 'connect',
    logFile: path.join(context.logsDir, 'connect.log'),
    command: () => {
      writePrivately(at('worker.properties'), properties(workerProperties(context, broker)));
      writePrivately(at('users.properties'), properties({ [user]: context.secrets.connect }));
      writePrivately(at('jaas.conf'), jaas(at('users.properties')));
      writePrivately(at('metrics.yml'), metricsConfig(context));
      const agent = jarIn(path.join(need(context.files.jarsDir), 'agent'), 'jmx_prometheus_javaagent');
      return jvmCommand(context, {
        name: 'connect',
        options: [
          `-javaagent:${agent}=${host}:${context.ports.connect_metrics}:${at('metrics.yml')}`,
          `-Djava.security.auth.login.config=${at('jaas.conf')}`,
          log4jOption(),
        ],
        main: [
          '-cp',
          classPath(path.join(need(context.files.jarsDir), 'kafka')),
          'org.apache.kafka.connect.cli.ConnectDistributed',
          at('worker.properties'),
        ],
        cwd: dir,
      });
    },
    ready: () => expectOk(`${url}/connectors`, authorization),
    readyWithinMs: 120_000,
  };
}

function workerProperties(
  { files, ports }: PartContext,
  { brokers, username, password }: BrokerLogin,
): Record<string, string | number | boolean> {
  return {
    'bootstrap.servers': brokers,
    'group.id': connectGroup,
    listeners: `http://${host}:${ports.connect}`,
    'rest.advertised.host.name': host,
    'rest.advertised.port': ports.connect,
    'rest.extension.classes':
      'org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension',
    'config.storage.topic': connectTopics[0],
    'offset.storage.topic': connectTopics[1],
    'status.storage.topic': connectTopics[2],
    'config.storage.replication.factor': 1,
    'offset.storage.replication.factor': 1,
    'status.storage.replication.factor': 1,
    'offset.storage.partitions': 1,
    'status.storage.partitions': 1,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
    'exactly.once.source.support': 'enabled',
    'offset.flush.interval.ms': 5_000,
    'plugin.path': path.join(need(files.jarsDir), 'plugins'),
    'plugin.discovery': 'service_load',
    'connector.client.config.override.policy': 'All',
    'scheduled.rebalance.max.delay.ms': 0,
    'topic.creation.enable': false,
    'session.timeout.ms': 6_000,
    'heartbeat.interval.ms': 1_500,
    'rebalance.timeout.ms': 10_000,
    ...(username === undefined ? {} : logins(username, password ?? '')),
  };
}

/** The worker's own clients and those that it makes for connectors each have their prefix. */
function logins(username: string, password: string): Record<string, string> {
  const login = {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'PLAIN',
    'sasl.jaas.config': plainLogin(username, password),
  };
  const prefixes = ['', 'producer.', 'consumer.', 'admin.'];
  return Object.fromEntries(
    prefixes.flatMap((prefix) => Object.entries(login).map(([key, value]) => [prefix + key, value])),
  );
}

const jaas = (usersFile: string): string =>
  `KafkaConnect {
  org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required file="${usersFile}";
};
`;

const metricsConfig = ({ secrets }: PartContext): string =>
  `httpServer:
  authentication:
    basic:
      username: ${user}
      password: ${secrets.connect}
lowercaseOutputName: true
lowercaseOutputLabelNames: true
includeObjectNames:
  - "debezium.postgres:*"
  - "kafka.connect:type=source-task-metrics,*"
  - "kafka.connect:type=connector-task-metrics,*"
  - "kafka.connect:type=connect-worker-metrics"
`;
