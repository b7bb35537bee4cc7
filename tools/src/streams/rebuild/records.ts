/** Rows as the connector makes records of them. */
import type { Message } from 'kafkajs';
import type { FullRow } from '../outbox-rows.ts';

/**
 * The record of a row, byte by byte as connectors/outbox.json has it made: the header of the transform that comes
 * first, then the event's id, then the columns in the order in which they are named there.
 */
export function recordOf(row: FullRow): Message {
  return {
    key: row.key,
    value: row.payload,
    headers: {
      'content-type': 'application/avro',
      id: row.id,
      event_type: row.event_type,
      tenant_id: row.tenant_id,
      user_id: row.user_id,
      traceparent: row.traceparent,
    },
  };
}

/** Lots that are sent at once: as many rows as have so many bytes together, one at least. */
export function* lotsOf(rows: readonly FullRow[], bytesMax: number): Generator<FullRow[]> {
  let lot: FullRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (lot.length > 0 && bytes + row.payload.length > bytesMax) {
      yield lot;
      lot = [];
      bytes = 0;
    }
    lot.push(row);
    bytes += row.payload.length;
  }
  if (lot.length > 0) yield lot;
}
