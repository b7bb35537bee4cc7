/** An administrator's connection to Kafka, for as long as a command needs it. */
import { createLogger } from '@ragline/runtime/logger';
import { createKafka, type Kafka } from '@ragline/streams/kafka-client';
import type { KafkaAccess } from '@ragline/streams/tail-client';
import type { Admin } from 'kafkajs';
import type { Settings } from './settings.ts';

/** A client with the settings' login. */
export function kafkaFrom(settings: Settings, clientId: string): Kafka {
  return createKafka({
    brokers: settings.get('KAFKA_BROKERS').split(','),
    username: settings.find('KAFKA_USERNAME'),
    password: settings.find('KAFKA_PASSWORD'),
    saslMechanism: settings.find('KAFKA_SASL_MECHANISM'),
    clientId,
    log: createLogger({ service: 'ragline', level: 'error' }),
  });
}

/** The same login, for readers without a group. */
export function accessFrom(settings: Settings): KafkaAccess {
  return {
    brokers: settings.get('KAFKA_BROKERS').split(','),
    username: settings.find('KAFKA_USERNAME'),
    password: settings.find('KAFKA_PASSWORD'),
    saslMechanism: settings.find('KAFKA_SASL_MECHANISM'),
  };
}

export async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  // A person waits: seconds, not the minutes that a service has.
  const admin = kafka.admin({ retry: { retries: 5 } });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
