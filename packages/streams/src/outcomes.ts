/** What is told of a record when a group is done with it: metrics, a report. */
import type { ConsumerMetrics } from './consumer-metrics.ts';
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
  shown: ConsumerMetrics;
  eventOf: (event: E) => DecodedEvent | undefined;
  onFinished: ((finished: Finished) => void) | undefined;
};

/** Shows a record that the group is done with, or has put aside: once each time. */
export function createOutcomes<E>({ shown, eventOf, onFinished }: OutcomesOptions<E>) {
  return (task: Task<E>, outcome: string): void => {
    const { record, attempt } = task;
    const event = task.event === undefined ? undefined : eventOf(task.event);
    const happenedAt = event === undefined ? Number.NaN : Date.parse(event.value.occurred_at);
    shown.finished(record.topic, outcome, Number.isNaN(happenedAt) ? record.timestamp : happenedAt);
    onFinished?.({ record, event, outcome, attempts: attempt });
  };
}
