/** The dead letter topics there are, and a consumer that reads all of them: rebuilt when there is another. */
import type { Logger } from '@ragline/runtime/logger';
import type { Running } from '@ragline/streams/consumer';
import type { Admin, Kafka } from 'kafkajs';

export type DiscoveryOptions = {
  kafka: Kafka;
  /** Topics that are read beside `*.dlq`, once they exist. */
  foreignTopics: readonly string[];
  everyMs: number;
  start(topics: readonly string[]): Promise<Running>;
  log: Logger;
};

/** Which of the topics hold dead letters. */
export function letterTopics(all: readonly string[], foreign: readonly string[]): string[] {
  return all.filter((topic) => topic.endsWith('.dlq') || foreign.includes(topic)).sort();
}

/**
 * Resolves when the topics that exist are read. A topic that goes away is read no more as soon as another comes: until
 * then it harms nobody, and a consumer that is rebuilt holds up all.
 */
export async function startDiscovery(options: DiscoveryOptions): Promise<Running> {
  const { kafka, everyMs, log } = options;
  const admin = kafka.admin();
  await admin.connect();
  let running: Running | undefined;
  let read: readonly string[] = [];
  let isStopped = false;
  let looking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const found = await topicsOf(admin, options.foreignTopics);
    if (isStopped || found.every((topic) => read.includes(topic))) return;
    const added = found.filter((topic) => !read.includes(topic));
    log.info('dead letter topics found', { topics: added });
    await running?.stop();
    running = undefined;
    // Remembered only when it runs: after a failure the next look begins again.
    read = [];
    running = await options.start(found);
    read = found;
  }

  await look();
  const timer = setInterval(() => {
    looking = looking.then(() =>
      isStopped
        ? undefined
        : look().catch((error: unknown) => log.warn('dead letter topics could not be listed', { error })),
    );
  }, everyMs);

  return {
    async stop() {
      isStopped = true;
      clearInterval(timer);
      await looking;
      await running?.stop();
      await admin.disconnect();
    },
  };
}

async function topicsOf(admin: Admin, foreign: readonly string[]): Promise<string[]> {
  return letterTopics(await admin.listTopics(), foreign);
}
