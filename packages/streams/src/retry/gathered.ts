/** Sends that wait for one on its way go together: one request at a time is all that the producer has. */
import { sendEach, sizeOf } from '../outgoing.ts';
import type { OutgoingRecord, Producer } from '../producer.ts';

type Waiting = { records: readonly OutgoingRecord[]; bytes: number; sent: PromiseWithResolvers<void> };

// Well below what a topic takes as one batch; one that is larger goes alone.
const bytesMax = 512 * 1024;
const recordsMax = 500;

export function gathered(producer: Producer): Pick<Producer, 'send'> {
  const waiting = new Map<string, Waiting[]>();
  const busy = new Set<string>();

  async function sendAll(topic: string): Promise<void> {
    busy.add(topic);
    for (let next = takeSome(topic); next.length > 0; next = takeSome(topic)) {
      const errors = await sendEach(
        producer,
        topic,
        next.flatMap(({ records }) => records),
      );
      for (const { records, sent } of next) {
        const error = errors.splice(0, records.length).find((it) => it !== undefined);
        if (error === undefined) sent.resolve();
        else sent.reject(error);
      }
    }
    busy.delete(topic);
  }

  function takeSome(topic: string): Waiting[] {
    const all = waiting.get(topic) ?? [];
    let bytes = 0;
    let records = 0;
    const past = all.findIndex((it) => {
      bytes += it.bytes;
      records += it.records.length;
      return bytes > bytesMax || records > recordsMax;
    });
    return all.splice(0, past === -1 ? all.length : Math.max(1, past));
  }

  return {
    send(topic, records) {
      const sent = Promise.withResolvers<void>();
      const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
      const all = waiting.get(topic) ?? [];
      waiting.set(topic, all);
      all.push({ records, bytes, sent });
      if (!busy.has(topic)) void sendAll(topic);
      return sent.promise;
    },
  };
}
