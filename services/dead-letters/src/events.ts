/** What becomes of letters, and alerts about them, as events on dead_letters.v1: by the outbox, with the change itself. */
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox, type OutboxRow } from '@ragline/postgres/outbox';
import type { Client } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { topics } from '@ragline/schemas/topics';
import type { DeadLetterEvent } from '@ragline/schemas/types.generated';
import type { LetterSummary } from './letter.ts';

export type Encode = (event: DeadLetterEvent) => Buffer;

export type LetterEventType = Extract<DeadLetterEvent['event_type'], `dead_letter_${string}`>;
export type AlertEventType = Exclude<DeadLetterEvent['event_type'], LetterEventType>;

/** What an event says of its letter. */
export type EventLetter = Pick<
  LetterSummary,
  | 'id'
  | 'state'
  | 'group_id'
  | 'topic'
  | 'partition'
  | 'offset'
  | 'tenant_id'
  | 'event_id'
  | 'event_type'
  | 'error_code'
  | 'error_class'
  | 'fingerprint'
  | 'attempts'
  | 'version'
>;

/** `user_id` null or '': nobody acted. */
export type LetterEvent =
  | { event_type: LetterEventType; user_id: string | null; letter: EventLetter }
  | {
      event_type: AlertEventType;
      user_id: string | null;
      tenant_id: string | null;
      alert: NonNullable<DeadLetterEvent['alert']>;
    };

/** Stands for no tenant where a column or a schema must have one. */
export const nilId = '00000000-0000-0000-0000-000000000000';

/**
 * Appends the events in the caller's transaction, which must be of the operator's scope or of their tenant.
 *
 * @param encode the codec's encoder of dead_letter_v1, fetched before the transaction: fetching may have to wait
 */
export async function appendLetterEvents(
  client: Client,
  encode: Encode,
  events: readonly LetterEvent[],
): Promise<void> {
  const occurredAt = new Date().toISOString();
  const traceparent = currentTraceparent();
  await appendOutbox(
    client,
    'dead_letters',
    events.map((event) => rowOf(eventOf(event, occurredAt), traceparent, encode)),
  );
}

/** @param occurred_at RFC 3339 */
export function eventOf(event: LetterEvent, occurred_at: string): DeadLetterEvent {
  const { event_type, user_id } = event;
  const common = { event_id: randomUUIDv7(), event_type, occurred_at, user_id: user_id ?? '' };
  if ('alert' in event) {
    const group = event.alert.group === null ? null : groupOf(event.alert.group);
    return { ...common, tenant_id: event.tenant_id ?? nilId, letter: null, alert: { ...event.alert, group } };
  }
  const { group_id, tenant_id, ...it } = event.letter;
  const group = groupOf(group_id);
  const { id, state, topic, partition, offset, fingerprint, attempts, version } = it;
  const address = { id, state, group, topic, partition, offset };
  const read = {
    event_id: nameOrNull(it.event_id),
    event_type: nameOrNull(it.event_type),
    error_code: nameOrNull(it.error_code),
    error_class: nameOrNull(it.error_class),
  };
  const letter = { ...address, ...read, fingerprint, attempts, version };
  return { ...common, tenant_id: tenant_id ?? nilId, letter, alert: null };
}

/**
 * What stood in headers was anybody's to write, an address of mail too; events are kept when a person is erased, so they
 * have of it what looks like a name in code. The letter has it as it was.
 */
const nameOrNull = (text: string | null): string | null =>
  text !== null && /^[\w.:$/-]{1,200}$/.test(text) ? text : null;

/** Of others' letters the group is a header too. */
const groupOf = (name: string): string => nameOrNull(name) ?? 'unknown';

function rowOf(event: DeadLetterEvent, traceparent: string, encode: Encode): OutboxRow {
  const { event_id: id, event_type, tenant_id, user_id, letter, alert } = event;
  const key = letter?.id ?? alert?.id ?? '';
  return {
    id,
    topic: topics.deadLetters.name,
    key,
    event_type,
    tenant_id,
    user_id,
    traceparent,
    payload: encode(event),
  };
}
