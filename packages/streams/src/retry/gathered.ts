/** Sends that wait for one on its way go together: one request at a time is all that the producer has. */
import type { OutgoingRecord, Producer } from '../producer.ts';

type Gathering = { records: OutgoingRecord[]; sent: PromiseWithResolvers<void> };

// Together well below what a topic takes as one batch.
const recordsMax = 16;
const bytesMax = 64 * 1024;

export function gathered(producer: Producer): Pick<Producer, 'send'> {
  const waiting = new Map<string, Gathering>();
  const busy = new Set<string>();

  async function sendAll(topic: string): Promise<void> {
    busy.add(topic);
    for (let next = waiting.get(topic); next !== undefined; next = waiting.get(topic)) {
      waiting.delete(topic);
      await producer.send(topic, next.records).then(next.sent.resolve, next.sent.reject);
    }
    busy.delete(topic);
  }

  return {
    async send(topic, records) {
      const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      const next = waiting.get(topic) ?? { records: [], sent: Promise.withResolvers<void>() };
      if (bytes > bytesMax || next.records.length + records.length > recordsMax) {
        return producer.send(topic, records);
      }
      next.records.push(...records);
      waiting.set(topic, next);
      if (!busy.has(topic)) void sendAll(topic);
      return next.sent.promise;
    },
  };
}
