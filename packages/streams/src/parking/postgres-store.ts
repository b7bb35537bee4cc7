/** Parking's store on Postgres: one function of schema streams a step. */
import type pg from 'pg';
import { storable, storedHeaders } from './headers.ts';
import { createLook } from './look.ts';
import { createRoom } from './room.ts';
import { headOf, letterOf, type Row } from './rows.ts';
import {
  Fenced,
  type Lease,
  type Parkable,
  type Parked,
  type ParkingStore,
  type Queued,
  type Verdict,
} from './store.ts';
import { together } from './together.ts';

type Mark = { recordId: number; deaths: number };
type Query = { name: string; text: string; values: unknown[] };

// A share of the lease that a frozen process holds keeps the next owner out. The first is not above the group's
// session timeout, so that the lease is free when Kafka has moved the partition.
const begin =
  "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL transaction_timeout = '30s'";
const followersAtOnce = 20;

/** @param pool of a role that consumes as the groups it is asked about; Postgres 17 or later */
export function postgresStore(pool: pg.Pool): ParkingStore {
  const room = createRoom(async (lease) => {
    const [row] = await rowsOf(pool, {
      name: 'ragline_parking_count',
      text: 'SELECT streams.parked_count($1, $2, $3) AS records',
      values: placeOf(lease.place),
    });
    return Number(row?.records);
  });
  const look = createLook(pool);

  async function rowsOf(db: pg.Pool | pg.PoolClient, query: Query): Promise<Row[]> {
    try {
      return (await db.query<Row>(query)).rows;
    } catch (error) {
      throw fencedOr(error);
    }
  }

  // One for each lease: what fences one partition is nothing to another.
  const marks = new WeakMap<Lease, (mark: Mark) => Promise<void>>();
  const markOf = (lease: Lease) => {
    const known = marks.get(lease);
    if (known !== undefined) return known;
    const mark = together<Mark>(async (all) => {
      await rowsOf(pool, {
        name: 'ragline_parking_announced',
        text: 'SELECT streams.announced($1, $2, $3, $4, $5, $6)',
        values: [...held(lease), all.map(({ recordId }) => recordId), all.map(({ deaths }) => deaths)],
      });
    });
    marks.set(lease, mark);
    return mark;
  };

  async function transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    let broken: Error | undefined;
    // Why Postgres ended the connection: what is heard of it afterwards is only that it is gone.
    const onError = (error: Error) => {
      broken ??= error;
    };
    client.on('error', onError);
    try {
      await client.query(begin);
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      const reason = broken;
      await client.query('ROLLBACK').catch((cause: Error) => {
        broken ??= cause;
      });
      throw fencedOr(reason ?? error);
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  return {
    async assign(place, owner) {
      const rows = await rowsOf(pool, {
        name: 'ragline_parking_assign',
        text: 'SELECT epoch, records, key, line_id FROM streams.assign($1, $2, $3, $4)',
        values: [...placeOf(place), owner],
      });
      const lease = { place, epoch: Number(rows[0]?.epoch) };
      room.begin(lease, Number(rows[0]?.records));
      const parked = new Map<string, number>();
      for (const { key, line_id } of rows) {
        if (line_id !== null && Buffer.isBuffer(key)) parked.set(key.toString('latin1'), Number(line_id));
      }
      return { lease, parked };
    },

    handle: (lease, ids, effect) =>
      transaction(async (client) => {
        const rows = await rowsOf(client, {
          name: 'ragline_parking_claim',
          text: 'SELECT id FROM streams.claim($1, $2, $3, $4, $5) AS id',
          values: [...held(lease), ids],
        });
        return effect(client, new Set(rows.map(({ id }) => String(id))));
      }),

    park: (
      lease,
      record,
      firstFailedAt,
      verdict,
      { partitionRecords: most } = { partitionRecords: Infinity },
    ) =>
      room.taking<Parked>(
        lease,
        { records: 1, most },
        async (hasRoom) => {
          if (!hasRoom) return { kind: 'full' };
          const [row] = await rowsOf(pool, {
            name: 'ragline_parking_park',
            text: `SELECT line_id, detached FROM streams.park($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
              to_timestamp($13::float8 / 1000), $14, $15, $16, $17)`,
            values: [
              ...held(lease),
              ...columnsOf(record),
              firstFailedAt,
              verdict.kind === 'again' ? 0 : verdict.error.attempt,
              verdict.kind === 'dead' ? null : Math.round(verdict.delayMs),
              verdict.kind === 'dead' && verdict.skip,
              errorOf(verdict),
            ],
          });
          if (row === undefined || row.line_id === null) return { kind: 'handled' };
          return { kind: 'parked', lineId: Number(row.line_id), detached: row.detached === true };
        },
        ({ kind }) => (kind === 'parked' ? 1 : 0),
      ),

    append: (lease, records, { lineRecords, lineBytes, partitionRecords: most }) =>
      room.taking(
        lease,
        { records: records.length, most },
        async (hasRoom) => {
          const columns = records.map(columnsOf);
          const column = (at: number) => columns.map((of) => of[at]);
          const [row] = await rowsOf(pool, {
            name: 'ragline_parking_append',
            text: 'SELECT streams.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS statuses',
            values: [
              ...held(lease),
              records[0]?.key,
              ...[0, 2, 3, 4, 5, 6, 7].map(column),
              lineRecords,
              lineBytes,
              hasRoom ? null : most,
            ],
          });
          const statuses = Array.isArray(row?.statuses) ? row.statuses.map(queuedOf) : [];
          if (statuses.length !== records.length) throw new TypeError('streams.append gave too few outcomes');
          return statuses;
        },
        (statuses) => statuses.filter((status) => status === 'kept').length,
      ),

    look,

    async due(lease, lines) {
      const { group_id, topic, partition } = lease.place;
      const rows = await rowsOf(pool, {
        name: 'ragline_parking_due',
        text: 'SELECT * FROM streams.due($1, $2, $3, $4, $5)',
        values: [group_id, topic, partition, lines, followersAtOnce],
      });
      return rows.map(headOf);
    },

    attempt: (lease, head, ids, effect) =>
      transaction(async (client) => {
        const { recordId, lineId, inbox_id, attempt } = head;
        const [begun] = await rowsOf(client, {
          name: 'ragline_parking_attempt',
          text: 'SELECT streams.attempt($1, $2, $3, $4, $5, $6, $7, $8, $9) AS fresh',
          values: [...held(lease), recordId, lineId, inbox_id, attempt, ids],
        });
        if (!Array.isArray(begun?.fresh)) return { kind: 'moved' };
        const value = await effect(client, new Set(begun.fresh.map(String)));
        const [left] = await rowsOf(client, {
          name: 'ragline_parking_leave',
          text: 'SELECT streams.leave($1, $2, $3, $4) AS gone',
          values: [lease.place.group_id, recordId, lineId, inbox_id],
        });
        room.left(lease, 1);
        return { kind: 'done', value, lineGone: left?.gone === true };
      }),

    attemptAll: (lease, heads, effect) =>
      transaction(async (client) => {
        const begun = await rowsOf(client, {
          name: 'ragline_parking_attempt_all',
          text: 'SELECT record_id, fresh FROM streams.attempt_all($1, $2, $3, $4, $5, $6, $7, $8)',
          values: [
            ...held(lease),
            heads.map(({ recordId }) => recordId),
            heads.map(({ lineId }) => lineId),
            heads.map(({ inbox_id }) => inbox_id),
            heads.map(({ attempt }) => attempt),
          ],
        });
        const isFresh = new Map(begun.map((row) => [Number(row.record_id), row.fresh === true]));
        const fresh = heads.flatMap(({ recordId, inbox_id }) => (isFresh.get(recordId) ? [inbox_id] : []));
        const value = await effect(client, new Set(fresh));
        const left = new Set(isFresh.keys());
        const [ended] = await rowsOf(client, {
          name: 'ragline_parking_leave_all',
          text: 'SELECT streams.leave_all($1, $2) AS gone',
          values: [lease.place.group_id, [...left]],
        });
        room.left(lease, left.size);
        const gone = Array.isArray(ended?.gone) ? ended.gone.map(Number) : [];
        return { value, left, linesGone: new Set(gone) };
      }),

    async fail(lease, head, verdict) {
      const [row] = await rowsOf(pool, {
        name: 'ragline_parking_fail',
        text: 'SELECT streams.book_failure($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS status',
        values: [
          ...held(lease),
          head.recordId,
          head.lineId,
          head.inbox_id,
          head.attempt,
          verdict.kind === 'dead' ? null : Math.round(verdict.delayMs),
          verdict.kind === 'again',
          verdict.kind === 'dead' && verdict.skip,
          errorOf(verdict),
        ],
      });
      return row?.status === 'moved' ? 'moved' : 'booked';
    },

    async unannounced(lease, limit) {
      const rows = await rowsOf(pool, {
        name: 'ragline_parking_unannounced',
        text: 'SELECT * FROM streams.unannounced($1, $2, $3, $4)',
        values: [...placeOf(lease.place), limit],
      });
      return rows.map(letterOf);
    },

    announced: (lease, recordId, deaths) => markOf(lease)({ recordId, deaths }),
  };
}

function placeOf({ group_id, topic, partition }: Lease['place']): unknown[] {
  return [group_id, topic, partition];
}

function held({ place, epoch }: Lease): unknown[] {
  return [...placeOf(place), epoch];
}

function columnsOf(record: Parkable): unknown[] {
  const { offset, key, tenant_id, event_id, inbox_id, value, headers, timestamp } = record;
  const stored = JSON.stringify(storedHeaders(headers));
  return [offset, key, tenant_id, event_id, inbox_id, value, stored, timestamp];
}

function queuedOf(status: unknown): Queued {
  if (status === 'kept' || status === 'kept already' || status === 'gone' || status === 'full') return status;
  throw new TypeError(`streams.append says ${String(status)}`);
}

function errorOf(verdict: Verdict): string | null {
  if (verdict.kind === 'again') return null;
  const { error } = verdict;
  const texts = {
    code: storable(error.code),
    class: storable(error.class),
    message: storable(error.message),
    stack: storable(error.stack),
  };
  return JSON.stringify({ ...error, ...texts });
}

function fencedOr(error: unknown): unknown {
  const isFenced = error instanceof Error && 'code' in error && error.code === 'RL001';
  return isFenced ? new Fenced(error.message, { cause: error }) : error;
}
