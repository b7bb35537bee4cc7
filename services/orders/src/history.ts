/** An order's events, from the outbox: it is the service's event log, and holds the very bytes that went to Kafka. */
import type { Client } from '@ragline/postgres/pool';
import type { Codec } from '@ragline/schemas/codec';
import { RegistryUnavailableError } from '@ragline/schemas/registry';
import { topics } from '@ragline/schemas/topics';
import { decodePageCursor, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';

const placeShape = z.tuple([z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/), z.uuid()]);

/** The oldest first. Rows that left with their month's partition are gone from here as well. */
export async function listHistory(
  client: Client,
  codec: Codec,
  tenantId: string,
  orderId: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ data: unknown[]; next_cursor: string | null }> {
  const [at, id] = decodePageCursor(cursor, placeShape) ?? [];
  // The time as text: a Date would lose its microseconds, and with them the place in the page.
  const { rows } = await client.query<{ id: string; at: string; payload: Buffer }>(
    `SELECT id, created_at::text AS at, payload FROM orders.outbox
     WHERE tenant_id = $1 AND aggregatetype = $2 AND aggregateid = $3
       AND ($4::timestamptz IS NULL OR (created_at, id) > ($4::timestamptz, $5::uuid))
     ORDER BY created_at, id LIMIT $6`,
    [tenantId, topics.orders.name, orderId, at, id, limit + 1],
  );
  const page = toPage(rows, limit, (row) => [row.at, row.id]);
  const data: unknown[] = [];
  for (const { payload } of page.data) data.push((await decoded(codec, payload)).value);
  return { ...page, data };
}

function decoded(codec: Codec, payload: Buffer) {
  return codec.decode(payload).catch((error: unknown) => {
    if (!(error instanceof RegistryUnavailableError)) throw error;
    throw problem('unavailable', 'The history cannot be read at the moment.', { cause: error });
  });
}
