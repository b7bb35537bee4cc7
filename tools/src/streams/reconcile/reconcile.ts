/**
 * Compares the outboxes with the topics by the ids of events, in both directions, and changes nothing.
 *
 *   ends of the topics → snapshot of the outboxes → what is on the topics and in no outbox (phantoms)
 *                                                 → what is in an outbox and on no topic, once it had time to arrive (holes)
 *
 * In this order, since an event is in its outbox before it can be on a topic: a record before the ends has its row in
 * the snapshot. Whatever is written meanwhile is looked at by the next run.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Topic } from '@ragline/schemas/topics';
import { partitionOf } from '@ragline/streams/partition-of';
import { createTailClient, type KafkaAccess, type TailClient } from '@ragline/streams/tail-client';
import pg from 'pg';
import { createIdSet, type IdSet } from '../id-set.ts';
import { type OutboxReader, openOutboxes, type RowHead } from '../outbox-rows.ts';
import { createJudge } from '../rebuild/plan.ts';
import { slotState } from '../rebuild/slot.ts';
import { boundsOf, recordsOf, type TopicBounds, type TopicRecord } from '../topic-records.ts';
import { type Found, listedMax, type Phantom, readTopics, type TopicCounts } from './found.ts';
import {
  createWithdrawnOrders,
  type OnWithdrawn,
  type Span,
  tellWithdrawn,
  type WithdrawnOrder,
  type WithdrawnOrders,
} from './withdrawn.ts';

export type ReconcileOptions = {
  /** An administrator's connection string, and one of ragline_cdc. */
  databaseUrl: string;
  cdcUrl: string;
  access: KafkaAccess;
  slotName: string;
  topics: readonly Topic[];
  tables: readonly string[];
  /** Looks at what is younger only; without it at all that each topic still holds. */
  since?: Date;
  /** How long what is missing may be on its way; 30 s. */
  arriveWithinMs?: number;
  /**
   * While the connector is behind: what is older than the newest that has arrived by more than this is past; 60 s. Longer than
   * transactions take, since it reads in the order of their ends.
   */
  pastAfterMs?: number;
  /** Told of every withdrawn order, not of those in `withdrawn_orders` alone. */
  onWithdrawn?: OnWithdrawn;
};

/** An event that its outbox has and its topic has not. */
export type Hole = { topic: string; event_id: string; key: string; created_at: string };
export type Reconciled = {
  at: string;
  topics: TopicCounts[];
  /** The first 10,000 of each. */
  holes: Hole[];
  phantoms: Phantom[];
  /** Orders with events that are on orders.v1 and in no outbox: what a restore of Postgres has taken back. */
  withdrawn_orders: WithdrawnOrder[];
  /** How many there are of these. */
  withdrawn: number;
};

// Rows that may still arrive; of more than these, all are holes.
const missingMax = 1_000_000;
// The brokers' clock need not be Postgres's.
const clocksApartMs = 10 * 60_000;
const usualArriveWithinMs = 30_000;
const usualPastAfterMs = 60_000;
const lookEveryMs = 1_000;

export async function reconcile(options: ReconcileOptions): Promise<Reconciled> {
  const client = createTailClient({ kafka: options.access, clientId: 'ragline-reconcile' });
  const admin = new pg.Client({
    connectionString: options.databaseUrl,
    application_name: 'ragline-reconcile',
  });
  // It fails at its next query, and that is who hears of it.
  admin.on('error', () => {});
  await admin.connect();
  try {
    const bounds = await boundsOfAll(client, options);
    const reader = await openReader(options);
    try {
      const inOutbox = await idsIn(reader);
      // After the snapshot, which the first of its queries took: all that is in it lies before this place.
      const { rows } = await admin.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
      const withdrawn = createWithdrawnOrders(options.onWithdrawn === undefined ? listedMax : Infinity);
      const found = await readTopics(client, bounds, { inOutbox, reader, withdrawn });
      const missing = await missingRows(reader, found, options);
      const arriving = { bounds, missing, found, lsn: rows[0]?.lsn };
      const onTheWay = await untilArrived(client, admin, arriving, options);
      if (options.onWithdrawn !== undefined)
        await tellWithdrawn(
          withdrawn.list(),
          (topic, span) => readSpan(client, bounds, topic, span),
          options.onWithdrawn,
        );
      return report(found, missing, onTheWay, withdrawn);
    } finally {
      await reader.close();
    }
  } finally {
    await client.close();
    await admin.end();
  }
}

async function boundsOfAll(client: TailClient, { topics, since }: ReconcileOptions) {
  const bounds = new Map<string, TopicBounds>();
  const from = since === undefined ? undefined : since.getTime() - clocksApartMs;
  for (const { name } of topics) bounds.set(name, await boundsOf(client, name, from));
  return bounds;
}

/** Rows of somewhat before the first record too, so that none is taken for a phantom by two clocks. */
function openReader({ cdcUrl: databaseUrl, topics, tables, since }: ReconcileOptions): Promise<OutboxReader> {
  const from = since === undefined ? new Date(0) : new Date(since.getTime() - 2 * clocksApartMs);
  return openOutboxes({
    databaseUrl,
    tables,
    wanted: topics.map(({ name }) => ({ topic: name, since: from })),
  });
}

async function idsIn(reader: OutboxReader): Promise<IdSet> {
  const ids = createIdSet();
  for await (const rows of reader.heads()) for (const { id } of rows) ids.add(id);
  return ids;
}

/** What retention takes meanwhile is passed over. */
async function* readSpan(
  client: TailClient,
  bounds: ReadonlyMap<string, TopicBounds>,
  topic: string,
  span: Span,
): AsyncGenerator<TopicRecord> {
  const places = bounds.get(topic);
  if (places === undefined) return;
  const at = (of: 'from' | 'end') => places.leaders.map((_, partition) => span.get(partition)?.[of] ?? 0);
  const wanted = { ...places, from: at('from'), stableEnds: at('end') };
  yield* recordsOf(client, topic, wanted, { skipsExpired: true });
}

/** Rows that should be on their topic, being younger than what it keeps, and are not. */
async function missingRows(
  reader: OutboxReader,
  found: ReadonlyMap<string, Found>,
  { topics, since }: ReconcileOptions,
): Promise<Map<string, RowHead>> {
  const missing = new Map<string, RowHead>();
  const judge = createJudge([...found.values()], partitionOf);
  const oldest = new Map(
    topics.map(({ name, retentionMs }) => [name, since?.getTime() ?? Date.now() - retentionMs]),
  );
  for await (const rows of reader.heads()) {
    for (const row of rows) {
      if (row.created_at.getTime() < (oldest.get(row.topic) ?? 0)) continue;
      const it = found.get(row.topic);
      const verdict = judge.judge(row);
      if (it === undefined || verdict === 'expired') continue;
      it.counts.rows += 1;
      if (verdict === 'there') {
        it.newest = Math.max(it.newest, row.created_at.getTime());
        continue;
      }
      it.counts.holes += 1;
      if (missing.size < missingMax) missing.set(row.id, row);
    }
  }
  return missing;
}

type Arriving = {
  bounds: Map<string, TopicBounds>;
  missing: Map<string, RowHead>;
  found: ReadonlyMap<string, Found>;
  /** Postgres's place in its log when the outboxes were read. */
  lsn: string | undefined;
};

/**
 * Strikes off what arrives within the time. What is left is no hole while the connector has not come to it: those
 * ids are the answer.
 */
async function untilArrived(
  client: TailClient,
  admin: pg.Client,
  { bounds, missing, found, lsn }: Arriving,
  options: ReconcileOptions,
): Promise<Set<string>> {
  const { arriveWithinMs = usualArriveWithinMs, pastAfterMs = usualPastAfterMs } = options;
  const until = Date.now() + arriveWithinMs;
  let newest = Math.max(0, ...[...found.values()].map((it) => it.newest));
  for (;;) {
    const isBehind = await connectorIsBehind(admin, options.slotName, lsn);
    for (const [topic, places] of bounds) {
      const next = await boundsOf(client, topic);
      const more = { ...next, from: places.stableEnds };
      for await (const { id } of recordsOf(client, topic, more)) {
        const row = id === null ? undefined : missing.get(id);
        const counts = found.get(topic)?.counts;
        if (row === undefined || counts === undefined) continue;
        newest = Math.max(newest, row.created_at.getTime());
        missing.delete(row.id);
        counts.holes -= 1;
      }
      bounds.set(topic, next);
    }
    const isOver = Date.now() > until;
    if (missing.size > 0 && isBehind && !isOver) {
      await pause(lookEveryMs);
      continue;
    }
    if (!isBehind) return new Set();
    const young = [...missing.values()].filter(
      ({ created_at }) => created_at.getTime() > newest - pastAfterMs,
    );
    return new Set(young.map(({ id }) => id));
  }
}

/** True when its slot has not passed the place, or is not there: then nothing is known of how far it came. */
async function connectorIsBehind(
  admin: pg.Client,
  slotName: string,
  lsn: string | undefined,
): Promise<boolean> {
  const slot = await slotState(admin, slotName);
  if (slot === undefined || slot.wal_status === 'lost' || slot.confirmed === null) return false;
  const { rows } = await admin.query<{ behind: boolean }>('SELECT $1::pg_lsn < $2::pg_lsn AS behind', [
    slot.confirmed,
    lsn ?? slot.confirmed,
  ]);
  return rows[0]?.behind ?? false;
}

function report(
  found: ReadonlyMap<string, Found>,
  missing: ReadonlyMap<string, RowHead>,
  onTheWay: ReadonlySet<string>,
  withdrawn: WithdrawnOrders,
): Reconciled {
  for (const { id, topic } of missing.values()) {
    const counts = found.get(topic)?.counts;
    if (counts === undefined || !onTheWay.has(id)) continue;
    counts.holes -= 1;
    counts.on_the_way += 1;
  }
  const phantoms = [...found.values()].flatMap((it) => it.phantoms).slice(0, listedMax);
  return {
    at: new Date().toISOString(),
    topics: [...found.values()].map(({ counts }) => counts),
    holes: [...missing.values()]
      .filter(({ id }) => !onTheWay.has(id))
      .slice(0, listedMax)
      .map(({ id, topic, key, created_at }) => {
        return { topic, event_id: id, key, created_at: created_at.toISOString() };
      }),
    phantoms,
    withdrawn_orders: withdrawn.list().slice(0, listedMax),
    withdrawn: withdrawn.count(),
  };
}
