/** The one place that configures kafkajs: passwords, patience with a broker that restarts, and its logs as ours. */
import './kafkajs-guard.ts';
import type { Logger } from '@ragline/runtime/logger';
import { Kafka, type LogEntry, logLevel, type SASLOptions } from 'kafkajs';

export type KafkaOptions = {
  brokers: readonly string[];
  username?: string | undefined;
  password?: string | undefined;
  /** plain (the default) or scram-sha-256, scram-sha-512. */
  saslMechanism?: string | undefined;
  clientId: string;
  log: Logger;
};

export type { Kafka };

/**
 * A client that outlives a broker's restart: a cold broker takes some 15 s to its port, so calls go on trying for
 * about two minutes, never more than a second apart.
 *
 * Throws TypeError when the mechanism is none of the three.
 */
export function createKafka({
  brokers,
  username,
  password,
  saslMechanism,
  clientId,
  log,
}: KafkaOptions): Kafka {
  // The default partitioner is the one of Java's clients; the notice about it is for those who come from kafkajs 1.
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';
  return new Kafka({
    clientId,
    brokers: [...brokers],
    ...(username ? { sasl: saslOf(saslMechanism ?? 'plain', username, password ?? '') } : {}),
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 100, factor: 0.2, multiplier: 2, maxRetryTime: 1_000, retries: 120 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => forward(entry, log),
  });
}

function saslOf(mechanism: string, username: string, password: string): SASLOptions {
  const name = mechanism.toLowerCase();
  switch (name) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      // The compiler wants each mechanism by itself: the three types are apart in kafkajs.
      if (name === 'plain') return { mechanism: 'plain', username, password };
      return name === 'scram-sha-256'
        ? { mechanism: 'scram-sha-256', username, password }
        : { mechanism: 'scram-sha-512', username, password };
    default:
      throw new TypeError(`KAFKA_SASL_MECHANISM is plain, scram-sha-256 or scram-sha-512, not ${mechanism}`);
  }
}

function forward(
  { namespace, level, log: { message, error, groupId, broker } }: LogEntry,
  log: Logger,
): void {
  const fields = { part: namespace, detail: message, error_message: error, group: groupId, broker };
  // What kafkajs calls an error it tries again itself, and says so once for each try.
  if (level === logLevel.ERROR || level === logLevel.WARN) log.warn('kafka client', fields);
  else log.debug('kafka client', fields);
}
