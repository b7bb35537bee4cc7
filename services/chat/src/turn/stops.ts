/**
 * Stops, heard by every instance: each reads all of chat.requests.v1 from its end, without a group, and ends what runs
 * here. What was asked for before it began to read is in the turn's row, which its worker looks at.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { startTail, type Tail } from '@ragline/streams/tail';
import type { TailClient } from '@ragline/streams/tail-client';
import type { FetchedPartition, TailRecord } from '@ragline/streams/tail-records';
import type { Running } from './running.ts';

export function startStops(parts: {
  client: TailClient;
  codec: Codec;
  running: Pick<Running, 'stop'>;
  log: Logger;
  /** chat.requests.v1, unless a test has its own. */
  topic?: string;
}): Tail {
  const { client, codec, running, log, topic = topics.chatRequests.name } = parts;

  async function take(record: TailRecord): Promise<void> {
    // By its header: nothing else is decoded.
    if (record.value === null || eventTypeOf(record) !== 'stop_requested') return;
    try {
      const { name, value } = await codec.decode(record.value);
      const turnId = name === 'chat_request_v1' ? turnIdOf(value) : undefined;
      if (turnId !== undefined) running.stop(turnId);
    } catch (error) {
      // The turn's row says it too, and is looked at every second.
      log.warn('a stop could not be read', { offset: record.offset, error });
    }
  }

  return startTail({
    client,
    topics: [{ name: topic, from: 'back' }],
    // What is older is in the rows.
    backRecords: 0,
    sink: {
      opened() {},
      moved() {},
      async batch(partitions: FetchedPartition[]) {
        for (const { records } of partitions) for (const record of records) await take(record);
      },
    },
    log,
  });
}

function eventTypeOf({ headers }: TailRecord): string | undefined {
  const found = headers.find(([name]) => name?.toString() === 'event_type');
  return found?.[1]?.toString();
}

function turnIdOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('turn_id' in value)) return undefined;
  return typeof value.turn_id === 'string' ? value.turn_id : undefined;
}
