/** Makes topics, and waits until they can be written to. */
import type { Admin, ITopicConfig } from 'kafkajs';

const leadersWithinMs = 30_000;
const lookEveryMs = 50;

/**
 * Creates topics, and resolves when each partition's leader answers. Those that are there already stay as they are.
 *
 * Not kafkajs's own wait: it gives up at once where a broker has not heard of the new topic yet, which a busy one has not.
 */
export async function makeTopics(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics: [...topics] });
  const names = topics.map(({ topic }) => topic);
  const deadline = Date.now() + leadersWithinMs;
  for (;;) {
    try {
      const { topics: known } = await admin.fetchTopicMetadata({ topics: names });
      const led = known.filter(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
      if (led.length === names.length) {
        // Named by the controller, a broker may still not know that it leads.
        await Promise.all(names.map((name) => admin.fetchTopicOffsets(name)));
        return;
      }
      if (Date.now() > deadline) throw new Error(`Topics without leaders: ${names.join(', ')}`);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
