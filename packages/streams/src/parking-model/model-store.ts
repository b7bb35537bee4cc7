/** ParkingStore on the model's database, step by step as the functions of schema streams do it. */
import {
  type Caps,
  Fenced,
  type Head,
  type Lease,
  type Letter,
  type Parkable,
  type Parked,
  type ParkingStore,
  type Queued,
  type Verdict,
} from '../parking/store.ts';
import type { Database, Tx } from './database.ts';
import type { Fault } from './faults.ts';
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';
import type { Line, Row, Tables } from './tables.ts';
import type { Truth } from './truth.ts';

export type ModelStoreOptions = {
  database: Database;
  tables: Tables;
  truth: Truth;
  scheduler: Scheduler;
  random: Random;
  fault: Fault | undefined;
  count(what: string): void;
  violate(what: string): never;
  say(...words: unknown[]): void;
};

const never = Number.POSITIVE_INFINITY;

/** @param actor the process whose connections these are */
export function createModelStore(actor: Actor, options: ModelStoreOptions): ParkingStore<Tx> {
  const { database, tables, truth, scheduler, random, fault, count, violate, say } = options;
  const { lease, inbox, lines, records } = tables;

  async function fence(tx: Tx, { place, epoch }: Lease): Promise<void> {
    if (fault === 'no-fence') return;
    if (fault !== 'fence-unlocked') await database.lock(tx, `lease ${place.partition}`, 'S');
    if (lease[place.partition] === epoch) return;
    count('fenced');
    throw new Fenced('another owner has raised the lease');
  }

  const owned = <T>(of: Lease, body: (tx: Tx) => Promise<T>): Promise<T> =>
    database.transaction(actor, async (tx) => {
      await fence(tx, of);
      return body(tx);
    });

  /** INSERT … ON CONFLICT DO NOTHING, which waits for another inserter of the id. */
  async function claim(tx: Tx, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const fresh = new Set<string>();
    for (const id of [...ids].sort()) {
      await database.lock(tx, `inbox ${id}`);
      if (inbox.has(id)) count('already in the inbox');
      else fresh.add(id);
    }
    tx.claimed = [...fresh];
    tx.writes.push(() => {
      for (const id of fresh) inbox.set(id, 'handled');
    });
    return fresh;
  }

  const inPartition = (p: number): number =>
    [...lines.values()].reduce((sum, it) => sum + (it.p === p ? it.depth : 0), 0);
  const isStill = (head: Head): boolean => {
    const row = records.get(head.recordId);
    return row !== undefined && row.line === head.lineId && row.inbox_id === head.inbox_id;
  };
  const loadParked = (p: number) => {
    const parked = new Map<string, number>();
    for (const line of lines.values()) {
      if (line.p === p && !line.detached && line.key !== null) parked.set(line.key, line.id);
    }
    return parked;
  };

  /** SELECT … FOR UPDATE: what is deleted while it waits is not found, nor what takes its place. */
  async function lockedLine(tx: Tx, p: number, key: string): Promise<Line | undefined> {
    await database.statement(tx);
    const line = tables.lineOf(p, key);
    if (line === undefined) return undefined;
    await database.lock(tx, `line ${line.id}`);
    return lines.get(line.id);
  }

  function bookDeath(line: Line, row: Row, skip: boolean): void {
    row.deaths += 1;
    count('deaths');
    say('dead', row.event_id);
    if (!skip || line.detached || inbox.has(row.inbox_id)) return;
    inbox.set(row.inbox_id, 'released');
    row.inbox_id = `${row.inbox_id}^`;
    Object.assign(truth.factOf(row.p, row.place), { unordered: true, inbox_id: row.inbox_id });
    count('skipped');
    tables.detach(line, row, line.depth === 1, scheduler.now());
  }

  async function park(
    tx: Tx,
    p: number,
    record: Parkable,
    firstFailedAt: number,
    verdict: Verdict,
  ): Promise<Parked> {
    const key = record.key === null ? null : record.key.toString('latin1');
    const place = Number(record.offset);
    if (fault === 'park-asks-inbox-first' && inbox.has(record.inbox_id)) return { kind: 'handled' };
    // First the line, then the inbox: an edited head is in both.
    const line = key === null ? undefined : await lockedLine(tx, p, key);
    if (line !== undefined && place <= line.lastOffset)
      return { kind: 'parked', lineId: line.id, detached: false };
    if (key === null) await database.lock(tx, `advisory ${record.inbox_id}`);
    else await database.statement(tx);
    const same = [...records.values()].find((row) => row.p === p && row.inbox_id === record.inbox_id);
    if (key === null && same !== undefined) return { kind: 'parked', lineId: same.line, detached: true };
    if (inbox.has(record.inbox_id)) {
      count('not parked: handled after all');
      return { kind: 'handled' };
    }
    if (line !== undefined) {
      queueIn(tx, line, record);
      return { kind: 'parked', lineId: line.id, detached: false };
    }
    const detached = key === null || (verdict.kind === 'dead' && verdict.skip);
    const lineId = tables.nextId();
    if (!detached) {
      await database.lock(tx, `unique ${p}/${key}`);
      if (tables.lineOf(p, key) !== undefined) throw new Error('null value in column "parked_id"');
    } else if (key !== null) {
      await database.lock(tx, `inbox ${record.inbox_id}`);
      if (inbox.has(record.inbox_id)) throw new Error('duplicate key value violates inbox_pkey');
    }
    tx.writes.push(() => addParked(p, key, detached, lineId, record, firstFailedAt, verdict));
    return { kind: 'parked', lineId, detached };
  }

  function addParked(
    p: number,
    key: string | null,
    detached: boolean,
    id: number,
    record: Parkable,
    firstFailedAt: number,
    verdict: Verdict,
  ): void {
    const place = Number(record.offset);
    const fact = truth.factOf(p, place);
    const notBefore = verdict.kind === 'dead' ? never : scheduler.now() + verdict.delayMs;
    truth.dueFrom(p, place, record.event_id, notBefore);
    const line = tables.addLine({ id, p, key, detached, attempt: 1, notBefore, lastOffset: -1 });
    let { inbox_id } = record;
    if (detached) fact.unordered = true;
    if (detached && key !== null) {
      inbox.set(inbox_id, 'released');
      inbox_id = `${inbox_id}^`;
      fact.inbox_id = inbox_id;
      count('skipped');
    }
    const deaths = verdict.kind === 'dead' ? 1 : 0;
    if (deaths > 0) count('deaths');
    const error = verdict.kind === 'again' ? undefined : verdict.error;
    tables.keep(line, { ...record, inbox_id, p, place, deaths, error, firstFailedAt });
    count('parked');
    say('parked', record.event_id, 'by', actor.name, verdict.kind);
  }

  function queueIn(tx: Tx, line: Line, record: Parkable): void {
    tx.writes.push(() => {
      const own = { p: line.p, place: Number(record.offset), deaths: 0 };
      tables.keep(line, { ...record, ...own, error: undefined, firstFailedAt: undefined });
      say('appended', record.event_id, 'by', actor.name);
    });
  }

  return {
    assign: ({ partition: p, ...place }, owner) =>
      database.transaction(actor, async (tx) => {
        const early = fault === 'load-before-raise' ? loadParked(p) : undefined;
        if (fault !== 'fence-unlocked' && fault !== 'no-fence') await database.lock(tx, `lease ${p}`);
        const epoch = (lease[p] ?? 0) + 1;
        tx.writes.push(() => {
          lease[p] = epoch;
        });
        await database.statement(tx);
        const parked = fault === 'no-load' ? new Map<string, number>() : (early ?? loadParked(p));
        say('owner', owner, 'epoch', epoch, [...parked.keys()].join());
        return { lease: { place: { ...place, partition: p }, epoch }, parked };
      }),

    handle: (of, ids, effect) => owned(of, async (tx) => effect(tx, await claim(tx, ids))),

    async park(of, record, firstFailedAt, verdict, { partitionRecords } = { partitionRecords: never }) {
      const { partition: p } = of.place;
      // Counted before, and not again: the owner alone adds to a partition.
      if (partitionRecords < never && (await query(() => inPartition(p))) >= partitionRecords) {
        count('park full');
        return { kind: 'full' };
      }
      return owned(of, (tx) => park(tx, p, record, firstFailedAt, verdict));
    },

    append: (of, wanted, caps) =>
      owned(of, async (tx) => {
        const outcomes = await append(tx, of.place.partition, wanted, caps);
        for (const outcome of outcomes) count(`append ${outcome}`);
        if (outcomes.length > 1) count('appended together');
        return outcomes;
      }),

    look: (of) =>
      query(() => {
        if (lease[of.place.partition] !== of.epoch && fault !== 'no-fence') throw new Fenced('not held');
        return { due: dueLines(of).length > 0, letters: lettersOf(of).length > 0 };
      }),
    due: (of, limit) => query(() => dueLines(of).slice(0, limit).flatMap(headsOf)),
    unannounced: (of, limit) => query(() => lettersOf(of).slice(0, limit)),

    attempt: (of, head, ids, effect) =>
      owned(of, async (tx) => {
        const line = lines.get(head.lineId);
        if (fault !== 'no-head-lock') {
          await database.lock(tx, `record ${head.recordId}`);
          const isDue =
            line !== undefined && line.attempt === head.attempt && line.notBefore <= scheduler.now();
          const isFirst = fault === 'drain-unordered' || (line && tables.headOf(line)?.id === head.recordId);
          if (!isStill(head) || !(isDue || fault === 'early') || !isFirst) {
            count('head moved');
            return { kind: 'moved' };
          }
        }
        const value = await effect(tx, await claim(tx, ids));
        if (line === undefined) throw new Error('query returned no rows');
        const early = fault === 'unpark-stale' && line.depth === 1;
        await database.lock(tx, `line ${line.id}`);
        const row = records.get(head.recordId);
        if (fault !== 'no-head-lock' && (row?.line !== line.id || !lines.has(line.id)))
          violate(`${head.event_id} left its line while it was locked`);
        const last = early || line.depth === 1;
        tx.writes.push(() => {
          count('drained');
          if (row !== undefined) tables.leave(line, row, last, scheduler.now());
        });
        return { kind: 'done', value, lineGone: last };
      }),

    attemptAll: (of, heads, effect) =>
      owned(of, async (tx) => {
        const held = new Set<Head>();
        for (const head of [...heads].sort((a, b) => a.recordId - b.recordId)) {
          if (await database.tryLock(tx, `record ${head.recordId}`)) held.add(head);
          else count('held by another');
        }
        await database.statement(tx);
        const lineOf = (head: Head) => lines.get(head.lineId);
        const present = heads.filter((head) => {
          const line = lineOf(head);
          if (line === undefined || !held.has(head) || !isStill(head)) return false;
          const isDue = line.attempt === head.attempt && line.notBefore <= scheduler.now();
          return isDue && tables.headOf(line)?.id === head.recordId;
        });
        const trusted = fault === 'no-head-lock' ? heads : present;
        const value = await effect(
          tx,
          await claim(
            tx,
            trusted.map(({ inbox_id }) => inbox_id),
          ),
        );
        if (trusted.some((head) => lineOf(head) === undefined))
          throw new Error('records are not being tried');
        const isLast = (head: Head) => lineOf(head)?.depth === 1;
        const early = trusted.filter(isLast);
        for (const head of [...trusted].sort((a, b) => a.lineId - b.lineId))
          await database.lock(tx, `line ${head.lineId}`);
        const ending = fault === 'unpark-stale' ? early : trusted.filter(isLast);
        tx.writes.push(() => {
          for (const head of trusted) {
            const [line, row] = [lineOf(head), records.get(head.recordId)];
            if (line === undefined || row === undefined) continue;
            count('drained together');
            tables.leave(line, row, ending.includes(head), scheduler.now());
          }
        });
        const left = new Set(trusted.map(({ recordId }) => recordId));
        return { value, left, linesGone: new Set(ending.map(({ lineId }) => lineId)) };
      }),

    fail: (of, head, verdict) =>
      owned(of, async (tx) => {
        await database.lock(tx, `record ${head.recordId}`);
        if (fault !== 'fail-unguarded' && !isStill(head)) return 'moved';
        const line = lines.get(head.lineId);
        if (line === undefined) return 'moved';
        await database.lock(tx, `line ${line.id}`);
        // Booked already, and the answer was lost.
        if (line.attempt !== head.attempt && fault !== 'fail-unguarded') return 'booked';
        const notBefore = verdict.kind === 'dead' ? never : scheduler.now() + verdict.delayMs;
        tx.writes.push(() => {
          if (verdict.kind !== 'again') line.attempt = head.attempt + 1;
          line.notBefore = notBefore;
          const row = records.get(head.recordId);
          truth.dueFrom(of.place.partition, Number(head.offset), head.event_id, notBefore);
          if (row === undefined) return;
          if (verdict.kind !== 'again') row.error = verdict.error;
          row.firstFailedAt ??= scheduler.now();
          if (verdict.kind === 'dead') bookDeath(line, row, verdict.skip);
        });
        return 'booked';
      }),

    announced: (of, recordId, deaths) =>
      owned(of, async (tx) => {
        await database.lock(tx, `record ${recordId}`);
        tx.writes.push(() => {
          const row = records.get(recordId);
          if (row !== undefined) row.announced = Math.max(row.announced, deaths);
        });
      }),
  };

  async function append(tx: Tx, p: number, wanted: readonly Parkable[], caps: Caps): Promise<Queued[]> {
    const key = wanted[0]?.key?.toString('latin1') ?? '';
    const line = fault === 'append-unlocked' ? tables.lineOf(p, key) : await lockedLine(tx, p, key);
    if (fault === 'append-unlocked') await database.statement(tx);
    if (line === undefined) return wanted.map(() => 'gone');
    const before = inPartition(p);
    const waiting = new Set(tables.of(line).map(({ inbox_id }) => inbox_id));
    const isKnown = ({ offset, inbox_id }: Parkable): boolean =>
      Number(offset) <= line.lastOffset || waiting.has(inbox_id) || inbox.has(inbox_id);
    let kept = 0;
    let isFull = false;
    return wanted.map((record) => {
      if (!isFull && isKnown(record)) return 'kept already';
      isFull ||= line.depth + kept >= caps.lineRecords || before + kept >= caps.partitionRecords;
      if (isFull && !(fault === 'append-past-full' && random.chance(0.5))) return 'full';
      queueIn(tx, line, record);
      kept += 1;
      return 'kept';
    });
  }

  /** A statement of its own, without a lock; what it found is old when it arrives. */
  async function query<T>(read: () => T): Promise<T> {
    await scheduler.turn(actor);
    const found = read();
    await scheduler.turn(actor);
    return found;
  }

  function lettersOf({ place: { partition: p } }: Lease): Letter[] {
    const rows = [...records.values()].filter((row) => row.p === p && row.announced < row.deaths);
    return rows.map(letterOf);
  }

  function dueLines({ place: { partition: p } }: Lease): Line[] {
    const now = scheduler.now();
    const due = [...lines.values()].filter(
      (line) => line.p === p && (line.notBefore <= now || (fault === 'early' && line.notBefore < never)),
    );
    return random.chance(0.5) ? due.reverse() : due;
  }

  function headsOf(line: Line): Head[] {
    const queue = tables.of(line);
    if (fault === 'drain-unordered' && random.chance(0.5)) queue.reverse();
    return queue.slice(0, 1 + random.int(3)).map((row, at) => ({
      ...letterOf(row),
      lineId: line.id,
      detached: line.detached,
      attempt: at === 0 ? line.attempt : 0,
      notBefore: line.notBefore,
    }));
  }
}

const unknownError = { class: 'Error', message: '', stack: '', attempt: 1, not_before: '', failed_at: '' };

function letterOf({
  id,
  line: _line,
  p: _p,
  place: _place,
  announced: _announced,
  error,
  ...rest
}: Row): Letter {
  return { ...rest, recordId: id, error: error ?? { code: 'handler_failed', ...unknownError } };
}
