/** Where a group without order puts records aside: topics, one a delay, and `<group>.dlq`. */
import type { Logger } from '@ragline/runtime/logger';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import type pg from 'pg';
import type { RetryPolicy } from '../after-failure.ts';
import type { Aside, PutAside } from '../aside.ts';
import { type Death, deadLetterOf } from '../dead-letter.ts';
import type { Producer } from '../producer.ts';
import { type ConsumedRecord, textHeaders } from '../record.ts';
import type { Task } from '../task.ts';
import { type Claimed, inboxClaim } from './claim.ts';
import { tierTopicOf } from './names.ts';
import { inboxIdHeader, originalOf } from './origin.ts';

export type TiersOptions = {
  groupId: string;
  producer: Pick<Producer, 'send'>;
  /** For `once`; without it a handler's effects are its own to make harmless. */
  pool: pg.Pool | undefined;
  policy: RetryPolicy;
  /** Whether the records come from a topic of the group's own, whose headers are believed. */
  isReturned: boolean;
  log: Logger;
  now?: () => number;
};

export function createTiers<E>(options: TiersOptions): Aside<E> {
  const { groupId, producer, pool, policy, isReturned, log, now = Date.now } = options;

  /** Stored before the record counts as done: after a crash there may be two of it, never none. */
  async function setAside(task: Task<E>, step: PutAside, error: unknown): Promise<string> {
    const { attempt, notBefore } = task;
    const record = isReturned ? task.record : firstMet(task.record);
    const { topic, partition, offset } = originalOf(record);
    const failedAt = now();
    const { errorCode } = step;
    const death: Death = {
      groupId,
      errorCode,
      error,
      attempt,
      notBefore: step.kind === 'retry' ? failedAt + step.delayMs : notBefore,
      failedAt,
      firstFailedAt: task.firstFailedAt ?? failedAt,
      inboxId: claimedBy(task, isReturned).inbox_ids.at(-1),
    };
    const letter = deadLetterOf(record, death);
    const address = { group: groupId, topic, partition, offset };
    if (step.kind === 'dead-letter') {
      await producer.send(deadLetterTopicOf(groupId), [letter]);
      log.warn('record dead-lettered', { ...address, error_code: errorCode, attempt, error });
      return 'dead-lettered';
    }
    const delayMs = policy.delaysMs[attempt - 1];
    if (delayMs === undefined) throw new RangeError(`There is no tier after attempt ${attempt}`);
    // Its own partition, not its key's: a record without a key has none, and the map stays readable.
    await producer.send(tierTopicOf(groupId, delayMs), [{ ...letter, partition }]);
    log.info('record is tried again later', {
      ...address,
      error_code: errorCode,
      attempt,
      delay_ms: delayMs,
      error,
    });
    return 'retried';
  }

  return {
    open: async () => {},
    waits: () => false,
    append: async (tasks) => tasks.map(() => 'gone'),
    setAside,
    claim: (tasks) => {
      const closes = policy.whenExhausted !== 'keep-trying';
      return inboxClaim({ pool, groupId, records: tasks.map((it) => claimedBy(it, isReturned)), closes });
    },
    close: async () => {},
  };
}

/**
 * The ids of a record in the group's inbox: an event's own, and, where it could not be read when it first failed,
 * the one it was remembered under then. Of a record that was never read nothing is believed but its address.
 */
export function claimedBy<E>({ record, identity }: Task<E>, isReturned: boolean): Claimed {
  const { topic, partition, offset } = isReturned ? originalOf(record) : record;
  const address = `at:${topic}/${partition}/${offset}`;
  if (identity === undefined) return { event_id: address, inbox_ids: [address] };
  const { event_id } = identity;
  const known = isReturned ? textHeaders(record.headers)[inboxIdHeader] : undefined;
  // Its event id was closed for good when it was discarded.
  if (known?.startsWith('restored:')) return { event_id, inbox_ids: [known] };
  return { event_id, inbox_ids: known === address ? [address, event_id] : [event_id] };
}

/** Without what another group, or nobody of ours, may have written about earlier failures. */
function firstMet(record: ConsumedRecord): ConsumedRecord {
  const names = Object.keys(record.headers);
  if (!names.some(isOfRetry)) return record;
  const kept = Object.entries(record.headers).filter(([name]) => !isOfRetry(name));
  return { ...record, headers: Object.fromEntries(kept) };
}

const isOfRetry = (name: string) =>
  name.startsWith('original-') ||
  ['first-failed-at', inboxIdHeader, 'parked-record', 'deaths'].includes(name);
