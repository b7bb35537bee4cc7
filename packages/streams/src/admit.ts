/** From a record to the event it means, or to the reason why it is none. */
import type { Decoded } from '@ragline/schemas/codec';
import { type SchemaName, type SchemaValues, schemaTexts } from '@ragline/schemas/types.generated';
import { PermanentError } from './errors.ts';
import { type ConsumedRecord, type DecodedEvent, textHeaders } from './record.ts';

/** The part of the codec that reads. */
export type Decoder = {
  /** Throws an error named SchemaNotCached when the writer's schema must be fetched first. */
  decodeSync(bytes: Buffer): Decoded;
  decode(bytes: Buffer): Promise<Decoded>;
};

export type Admission = {
  /** The topic's schema; undefined takes any. */
  expected: SchemaName | undefined;
  /** Where order is kept by key, a record without one has no place. */
  needsKey: boolean;
};

type OwnDecoded = { [N in SchemaName]: { schema_id: number; name: N; value: SchemaValues[N] } }[SchemaName];

/**
 * Decodes and checks a record; a promise only when its schema is not known yet.
 *
 * Throws PermanentError `value_null`, `key_missing`, `tenant_missing`, `event_id_missing`, `tenant_mismatch`,
 * `event_id_mismatch`, `schema_unexpected`, and the codec's `not_confluent`, `schema_unknown`, `schema_incompatible`, `malformed_avro`.
 *
 */
export function admit(
  record: ConsumedRecord,
  decoder: Decoder,
  { expected, needsKey }: Admission,
): DecodedEvent | Promise<DecodedEvent> {
  const { value } = record;
  if (value === null) {
    // Topics of ours have no tombstones: a deletion is an ordinary event.
    throw new PermanentError('value_null', 'The record has no value');
  }
  if (needsKey && record.key === null) throw new PermanentError('key_missing', 'The record has no key');
  const headers = textHeaders(record.headers);
  const { id, tenant_id } = headers;
  if (!tenant_id) throw new PermanentError('tenant_missing', 'The record has no header tenant_id');
  if (!id) throw new PermanentError('event_id_missing', 'The record has no header id');
  let decoded: Decoded;
  try {
    decoded = decoder.decodeSync(value);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SchemaNotCached') throw error;
    return decoder.decode(value).then((late) => checked(record, headers, late, expected));
  }
  return checked(record, headers, decoded, expected);
}

function checked(
  record: ConsumedRecord,
  headers: Record<string, string>,
  decoded: Decoded,
  expected: SchemaName | undefined,
): DecodedEvent {
  const { id = '', tenant_id = '', user_id = '' } = headers;
  if (!isOwn(decoded) || (expected !== undefined && decoded.name !== expected)) {
    throw new PermanentError('schema_unexpected', `${decoded.name} does not belong on ${record.topic}`);
  }
  const { value, schema_id } = decoded;
  if (value.tenant_id !== tenant_id) {
    // Neither is believed: whom it is shown to and what it says would be two tenants.
    throw new PermanentError('tenant_mismatch', 'The header tenant_id is not the tenant of the value');
  }
  if (value.event_id !== id) {
    // The inbox knows an event by its id: under two it would be handled twice.
    throw new PermanentError('event_id_mismatch', 'The header id is not the event_id of the value');
  }
  const { topic, partition, offset, timestamp } = record;
  const envelope = {
    topic,
    partition,
    offset,
    key: record.key === null ? null : record.key.toString(),
    headers,
    event_id: id,
    event_type: value.event_type,
    tenant_id,
    user_id,
    schema_id,
    timestamp,
  };
  return withValue(envelope, decoded);
}

// The codec promises the shape of each schema of ours by its name.
function isOwn(decoded: Decoded): decoded is OwnDecoded {
  return Object.hasOwn(schemaTexts, decoded.name);
}

// One branch a schema, so that the compiler sees that name and value belong together.
function withValue(envelope: Omit<DecodedEvent, 'schema' | 'value'>, decoded: OwnDecoded): DecodedEvent {
  switch (decoded.name) {
    case 'order_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'catalog_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'notification_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'revocation_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'dead_letter_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'chat_request_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'chat_event_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
    case 'llm_call_v1':
      return { ...envelope, schema: decoded.name, value: decoded.value };
  }
}
