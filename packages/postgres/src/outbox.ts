/** The outbox: a service's event log, written in the transaction of what the events are about. */
import type { Client } from './pool.ts';

export type OutboxSchema = 'identity' | 'orders' | 'notifications' | 'dead_letters' | 'chat';

/** An event as it will be on Kafka. `payload` is final: encoded with the registry's schema id. */
export type OutboxRow = {
  /** UUIDv7; the event's id. */
  id: string;
  topic: string;
  /** The record's key: what the event is about, and so what it is ordered by. */
  key: string;
  event_type: string;
  tenant_id: string;
  /** Whose it is; empty when it is nobody's alone. */
  user_id: string;
  traceparent: string;
  payload: Buffer;
};

/**
 * Appends rows to the schema's outbox, in the caller's transaction and in the order given. The caller's tenant
 * must be set (inTenant): row-level security refuses a row of another.
 *
 * One INSERT, never COPY: Debezium's connector loses the columns of copied rows (debezium dbz#1554).
 */
export async function appendOutbox(
  client: Client,
  schema: OutboxSchema,
  rows: readonly OutboxRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await client.query({
    name: `ragline_append_${schema}_outbox`,
    text: `INSERT INTO ${schema}.outbox
             (id, aggregatetype, aggregateid, type, tenant_id, user_id, traceparent, payload)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::bytea[])`,
    values: [
      rows.map((row) => row.id),
      rows.map((row) => row.topic),
      rows.map((row) => row.key),
      rows.map((row) => row.event_type),
      rows.map((row) => row.tenant_id),
      rows.map((row) => row.user_id),
      rows.map((row) => row.traceparent),
      rows.map((row) => row.payload),
    ],
  });
}
