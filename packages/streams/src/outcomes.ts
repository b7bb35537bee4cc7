/** What happens when a group is done with a record: a dead letter, metrics, a log line, a report. */
import type { Logger } from '@ragline/runtime/logger';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import type { ConsumerMetrics } from './consumer-metrics.ts';
import { deadLetterOf } from './dead-letter.ts';
import type { Producer } from './producer.ts';
import type { ConsumedRecord, DecodedEvent } from './record.ts';
import type { Task } from './task.ts';

/** A record that the group is done with, as the event's trace shows it. */
export type Finished = {
  record: ConsumedRecord;
  /** Absent for what could not be decoded, and for raw handlers. */
  event: DecodedEvent | undefined;
  outcome: string;
  attempts: number;
};

export type OutcomesOptions<E> = {
  groupId: string;
  producer: Producer;
  shown: ConsumerMetrics;
  eventOf: (event: E) => DecodedEvent | undefined;
  onFinished: ((finished: Finished) => void) | undefined;
  log: Logger;
};

export function createOutcomes<E>(options: OutcomesOptions<E>) {
  const { groupId, producer, shown, eventOf, onFinished, log } = options;

  return {
    /** Resolves when the letter is stored. */
    async bury(task: Task<E>): Promise<void> {
      const { record, attempt, notBefore, doom, firstFailedAt } = task;
      if (doom === undefined) throw new Error('Only what failed for good is a dead letter');
      const { errorCode, error, failedAt } = doom;
      const death = { groupId, errorCode, error, attempt, notBefore, failedAt };
      const letter = deadLetterOf(record, { ...death, firstFailedAt: firstFailedAt ?? failedAt });
      // Before the record counts as done: after a crash there may be two letters, never none.
      await producer.send(deadLetterTopicOf(groupId), [letter]);
      const { topic, partition, offset } = record;
      const address = { group: groupId, topic, partition, offset };
      log.warn('record dead-lettered', { ...address, error_code: errorCode, attempt, error });
    },

    finished(task: Task<E>, outcome: string): void {
      const { record, attempt } = task;
      const event = task.event === undefined ? undefined : eventOf(task.event);
      const happenedAt = event === undefined ? Number.NaN : Date.parse(event.value.occurred_at);
      shown.finished(record.topic, outcome, Number.isNaN(happenedAt) ? record.timestamp : happenedAt);
      onFinished?.({ record, event, outcome, attempts: attempt });
    },
  };
}
