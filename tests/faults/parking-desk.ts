/** People at work on parked records, through the functions that the dead letter service calls. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Ledger } from './parking-ledger.ts';
import { temperOf } from './parking-temper.ts';

export type DeskOptions = {
  groupId: string;
  topic: string;
  /** As the dead letter service. */
  operators: pg.Pool;
  /** As the owner of the tables, to look. */
  admin: pg.Pool;
  ledger: Ledger;
  /** The value of an event with another id. */
  encodeAs(key: string, version: number, eventId: string): Buffer;
  random: () => number;
};

type Row = {
  id: number;
  line: number;
  partition: number;
  offset: string;
  key: Buffer;
  event_id: string;
  inbox_id: string;
  value: Buffer;
  headers: unknown;
  detached: boolean;
  is_head: boolean;
  is_dead: boolean;
};

export type Desk = ReturnType<typeof createDesk>;

export function createDesk(options: DeskOptions) {
  const { groupId, topic, operators, admin, ledger, encodeAs, random } = options;
  const counts: Record<string, number> = {};
  const discarded: Row[] = [];

  const rowsOf = async (): Promise<Row[]> => {
    const { rows } = await admin.query<Row>(
      `SELECT r.id::int AS id, k.id::int AS line, k.partition, r."offset"::text AS "offset", k.key, r.event_id, r.inbox_id, r.value, r.headers,
              k.detached, k.not_before = 'infinity' AS is_dead,
              r."offset" = (SELECT min(f."offset") FROM streams.parked_record f WHERE f.parked_id = k.id) AS is_head
         FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id WHERE k.group_id = $1`,
      [groupId],
    );
    return rows;
  };

  const statusOf = async (text: string, values: unknown[]): Promise<string> => {
    const { rows } = await operators.query<{ status: string }>(text, values);
    return rows[0]?.status ?? 'none';
  };
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };

  async function edit(row: Row, mustSucceed: boolean): Promise<void> {
    const entry = ledger.entryOf(row.event_id);
    if (entry === undefined) throw new Error(`Nobody produced ${row.event_id}`);
    let id = randomUUID();
    while (mustSucceed && temperOf(id).kind !== 'good') id = randomUUID();
    const headers = { ...(row.headers instanceof Object ? row.headers : {}), id: { t: id } };
    const status = await statusOf('SELECT streams.edit_parked(NULL, $1, $2, $3, $4, $5, true) AS status', [
      row.id,
      row.inbox_id,
      id,
      encodeAs(entry.key, entry.version, id),
      JSON.stringify(headers),
    ]);
    if (status === 'edited') entry.eventId = id;
    count(status);
  }

  async function discard(row: Row): Promise<void> {
    const status = await statusOf('SELECT status FROM streams.discard_parked(NULL, $1)', [[row.id]]);
    const entry = ledger.entryOf(row.event_id);
    if (status === 'discarded' && entry !== undefined) {
      entry.state = 'discarded';
      discarded.push(row);
    }
    count(status);
  }

  async function replay(row: Row): Promise<void> {
    count(await statusOf('SELECT status FROM streams.replay_parked(NULL, $1)', [[row.id]]));
  }

  async function release(row: Row): Promise<void> {
    const { rows } = await operators.query<{ record_id: string; status: string }>(
      'SELECT record_id, status FROM streams.release_parked(NULL, $1)',
      [row.line],
    );
    const [released] = rows;
    // The head may be another one by now.
    if (released?.status === 'released' && !row.detached) {
      const now = (await rowsOf()).find(({ id }) => id === Number(released.record_id));
      const entry = ledger.entryOf(now?.event_id ?? '');
      if (entry !== undefined) entry.unordered = true;
    }
    count(released?.status ?? 'none');
  }

  async function restore(): Promise<void> {
    const row = discarded.shift();
    const entry = row && ledger.entryOf(row.event_id);
    if (row === undefined || entry === undefined) return;
    // Before the call: it may be handled as soon as it is back.
    Object.assign(entry, { state: 'open', unordered: true });
    await operators.query(
      'SELECT streams.restore_parked(NULL, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      [
        groupId,
        topic,
        row.partition,
        row.offset,
        row.key,
        null,
        row.event_id,
        row.value,
        JSON.stringify(row.headers),
        null,
        `restored:${randomUUID()}`,
      ],
    );
    count('restored');
  }

  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];

  return {
    counts,
    /** One decision about anything that is parked, as likely wrong as right. */
    async meddle(): Promise<void> {
      const rows = await rowsOf();
      const row = pick(random() < 0.8 ? rows.filter(({ is_head }) => is_head) : rows);
      if (row === undefined) return;
      const what = random();
      if (what < 0.4) await replay(row);
      else if (what < 0.8) await edit(row, false);
      else if (what < 0.88) await discard(row);
      else if (what < 0.96) await release(row);
      else await restore();
    },
    /** Mends every dead head that was announced; how many records are parked. */
    async mend(announced: ReadonlySet<number>): Promise<number> {
      const rows = await rowsOf();
      for (const row of rows) {
        if (!row.is_head || !row.is_dead || !announced.has(row.id)) continue;
        if (random() < 0.1) await discard(row);
        else await edit(row, true);
      }
      return rows.length;
    },
  };
}
