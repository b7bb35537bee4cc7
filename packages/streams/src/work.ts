/** A consumer's handler as the partitions run it: decoded or raw, one or many, inside spans and context. */
import { runWithContext } from '@ragline/runtime/context';
import { failSpan, openSpan, scopeOf, withSpan } from '@ragline/runtime/tracing';
import { type Admission, admit, type Decoder } from './admit.ts';
import { type ConsumedRecord, type DecodedEvent, textHeaders } from './record.ts';
import type { Attempt, BatchAttempt, OnceBatch, Work } from './task.ts';

/**
 * What a consumer does; the text that a handler resolves with is the outcome's label, of which there are few.
 *
 * A handler may be called again with the same record, after any error and any rebalance. Until it resolves the
 * record counts as unhandled. What it changes inside `once` happens once all the same.
 */
export type Handling =
  | { handle: (event: DecodedEvent, context: Attempt) => Promise<string>; codec: Decoder }
  | {
      /** All in one transaction; when it throws, it is called again with each event alone. One label, or one each. */
      handleBatch: HandleBatch;
      codec: Decoder;
    }
  /** Bytes, whatever they are: nothing is decoded or refused. */
  | { handleRaw: (record: ConsumedRecord, context: Attempt) => Promise<string> };

// More would make the span larger than most work it describes.
const linksMax = 64;

export function rawWork(
  groupId: string,
  handleRaw: (record: ConsumedRecord, context: Attempt) => Promise<string>,
): Work<ConsumedRecord> {
  return {
    admit: (record) => record,
    identityOf: () => undefined,
    many: undefined,
    one: (record, attempt) => {
      const { traceparent, tenant_id, id } = textHeaders(record.headers);
      const attributes = attributesOf(groupId, record.topic, record.partition, record.offset, id);
      return runWithContext(tenant_id === undefined ? {} : { tenant_id }, () =>
        withSpan(`process ${record.topic}`, { kind: 'consumer', parent: traceparent, attributes }, () =>
          handleRaw(record, attempt),
        ),
      );
    },
  };
}

/** @param admission what a topic's records must be */
export function eventWork(
  groupId: string,
  handling: Exclude<Handling, { handleRaw: unknown }>,
  admission: (topic: string) => Admission,
): Work<DecodedEvent> {
  const one = 'handle' in handling ? handling.handle : firstOf(handling.handleBatch);
  return {
    admit: (record) => admit(record, handling.codec, admission(record.topic)),
    identityOf: ({ event_id, tenant_id }) => ({ event_id, tenant_id }),
    one: (event, attempt) =>
      runWithContext({ tenant_id: event.tenant_id }, () =>
        withSpan(`process ${event.topic}`, spanOf(groupId, event), () => one(event, attempt)),
      ),
    many: 'handleBatch' in handling ? inBatchSpan(groupId, handling.handleBatch) : undefined,
  };
}

type HandleBatch = (
  events: readonly DecodedEvent[],
  context: BatchAttempt,
) => Promise<string | readonly string[]>;

function firstOf(handleBatch: HandleBatch) {
  return async (
    event: DecodedEvent,
    { signal, attempt, onceBatch }: Attempt & { onceBatch: OnceBatch },
  ): Promise<string> => {
    const outcome = await handleBatch([event], { signal, attempt, once: onceBatch });
    return typeof outcome === 'string' ? outcome : (outcome[0] ?? 'handled');
  };
}

/** Each event has a span in its own trace; the batch has one that links to all. */
function inBatchSpan(groupId: string, handleBatch: HandleBatch) {
  return async (events: readonly DecodedEvent[], attempt: BatchAttempt): Promise<readonly string[]> => {
    const topic = events[0]?.topic ?? '';
    const spans = events.map((event) => openSpan(`process ${topic}`, spanOf(groupId, event)));
    const links = events.slice(0, linksMax).flatMap(({ headers: { traceparent } }) => traceparent ?? []);
    const attributes = {
      ...attributesOf(groupId, topic, events[0]?.partition ?? 0),
      'messaging.batch.message_count': events.length,
    };
    // With one event its own span is the batch's parent, so that what the handler writes is in its trace.
    const only = spans.length === 1 ? spans[0] : undefined;
    try {
      const outcomes = await (only
        ? runWithContext(scopeOf(only), () => handleBatch(events, attempt))
        : withSpan(`process ${topic}`, { kind: 'consumer', attributes, links }, () =>
            handleBatch(events, attempt),
          ));
      return typeof outcomes === 'string' ? events.map(() => outcomes) : outcomes;
    } catch (error) {
      for (const span of spans) failSpan(span, error);
      throw error;
    } finally {
      for (const span of spans) span.end();
    }
  };
}

function spanOf(groupId: string, { topic, partition, offset, event_id, headers }: DecodedEvent) {
  return {
    kind: 'consumer' as const,
    parent: headers.traceparent,
    attributes: attributesOf(groupId, topic, partition, offset, event_id),
  };
}

// The names are OpenTelemetry's messaging conventions (1.40, with messaging.kafka.offset).
function attributesOf(groupId: string, topic: string, partition: number, offset?: string, id?: string) {
  return {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': groupId,
    ...(offset === undefined ? {} : { 'messaging.kafka.offset': Number(offset) }),
    ...(id === undefined ? {} : { 'messaging.message.id': id }),
  };
}
