/** Reads again what a reader missed: its conversation's partition, from its cursor to where it joined the tail. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ReplayReader } from '@ragline/streams/replay';
import type { TailRecord } from '@ragline/streams/tail-records';
import type { ShownEvent } from './event.ts';
import type { Place } from './place.ts';
import type { Subscription } from './subscription.ts';

export type CatchUpParts = {
  reader: Pick<ReplayReader, 'read'>;
  topic: string;
  partition: number;
  from: Place;
  /** The first offset that comes live. */
  until: number;
  decoded(record: TailRecord): Promise<ShownEvent | undefined>;
  isStopping(): boolean;
};

const outOfRange = 1;
const noRoomMs = 20;
// Each of them waits for a tenth of a second.
const emptyMax = 20;

/** Ends with the subscription live, or closed. Throws when Kafka cannot be read. */
export async function catchUp(subscription: Subscription, parts: CatchUpParts): Promise<void> {
  const { reader, topic, partition, from, until } = parts;
  const { epoch } = from;
  const key = subscription.address.conversation_id;
  let next = from.next;
  let empty = 0;
  while (next < until && !subscription.isClosed() && !parts.isStopping()) {
    if (!subscription.hasRoom()) {
      // The client reads slowly; whoever writes to it lets it go when it does not read at all.
      await delay(noRoomMs);
      continue;
    }
    const [part] = await reader.read(topic, epoch, new Map([[partition, next]]));
    if (part === undefined) throw new Error(`${topic}/${partition} was not answered`);
    if (part.error === outOfRange) {
      // Nothing of what is left would make sense without what is gone: REST has it.
      subscription.gap('expired', { epoch, next: until, last: undefined });
      break;
    }
    for (const record of part.records) {
      if (record.offset < next || record.offset >= until || record.key?.toString() !== key) continue;
      const event = await parts.decoded(record);
      if (event !== undefined)
        subscription.again(event, { epoch, next: record.offset + 1 }, record.value?.length ?? 0);
    }
    if (part.next !== undefined && part.next > next) {
      next = part.next;
      empty = 0;
    } else if (++empty > emptyMax) throw new Error(`${topic}/${partition} has nothing at ${next}`);
  }
  subscription.caughtUp();
}
