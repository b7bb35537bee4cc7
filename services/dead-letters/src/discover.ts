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
  /** How long a start may take, and a stop, before they are left to themselves; 20 s. */
  patienceMs?: number;
  log: Logger;
};

const againMs = 500;

/** Which of the topics hold dead letters. */
function letterTopics(all: readonly string[], foreign: readonly string[]): string[] {
  return all.filter((topic) => topic.endsWith('.dlq') || foreign.includes(topic)).sort();
}

/**
 * Resolves when the topics that exist are read; tries until then. One that goes away is left out at the next look: a group
 * with a topic that is gone can be joined no more.
 *
 * A topic may go away just after it was listed; then the Kafka client tries to join for minutes. Such a consumer is not
 * waited for: should it come to run after all, it is stopped.
 */
export async function startDiscovery(options: DiscoveryOptions): Promise<Running> {
  const { kafka, everyMs, log, patienceMs = 20_000 } = options;
  const admin = kafka.admin();
  await admin.connect();
  let running: Running | undefined;
  let read: readonly string[] = [];
  let isStopped = false;
  let looking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const found = await topicsOf(admin, options.foreignTopics);
    const added = found.filter((topic) => !read.includes(topic));
    const gone = read.filter((topic) => !found.includes(topic));
    if (isStopped || added.length + gone.length === 0) return;
    log.info('dead letter topics have changed', { added, gone });
    await stopRunning();
    // Remembered only when it runs: after a failure the next look begins again.
    read = [];
    if (found.length > 0) running = await startWithin(found);
    read = found;
  }

  async function startWithin(found: readonly string[]): Promise<Running> {
    const starting = options.start(found);
    const started = await orLate(patienceMs, starting);
    if (started !== late) return started;
    void starting.then((it) => it.stop()).catch(() => {});
    throw new Error(`The group was not joined within ${patienceMs} ms`);
  }

  async function stopRunning(): Promise<void> {
    const stopping = running?.stop();
    running = undefined;
    if (stopping === undefined) return;
    const isLate = (await orLate(patienceMs, stopping)) === late;
    if (isLate) log.warn('a consumer of dead letters takes long to stop', { waited_ms: patienceMs });
  }

  for (let hasLooked = false; !hasLooked; ) {
    try {
      await look();
      hasLooked = true;
    } catch (error) {
      log.warn('dead letter topics could not be read', { error });
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
  const timer = setInterval(() => {
    looking = looking.then(() =>
      isStopped
        ? undefined
        : look().catch((error: unknown) => log.warn('dead letter topics could not be read', { error })),
    );
  }, everyMs);

  return {
    async stop() {
      isStopped = true;
      clearInterval(timer);
      await looking;
      await stopRunning();
      await admin.disconnect();
    },
  };
}

async function topicsOf(admin: Admin, foreign: readonly string[]): Promise<string[]> {
  return letterTopics(await admin.listTopics(), foreign);
}

const late = Symbol('late');

async function orLate<T>(ms: number, promise: Promise<T>): Promise<T | typeof late> {
  const { promise: tooLate, resolve } = Promise.withResolvers<typeof late>();
  const timer = setTimeout(() => resolve(late), ms);
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
