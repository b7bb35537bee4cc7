/** What people do to parked records, each in one transaction, at any time: the operator functions of schema streams. */
import type { Database, Tx } from './database.ts';
import type { Fault } from './faults.ts';
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';
import type { Line, Row, Tables } from './tables.ts';
import type { Truth } from './truth.ts';

export const verbs = ['discard', 'edit', 'edit', 'replay', 'replay', 'release', 'restore'] as const;
export type Verb = (typeof verbs)[number];

export type OperatorsOptions = {
  database: Database;
  tables: Tables;
  truth: Truth;
  scheduler: Scheduler;
  random: Random;
  fault: Fault | undefined;
  /** How likely an attempt fails with this content, 0 to 1. */
  temper: Map<string, number>;
  count(what: string): void;
  say(...words: unknown[]): void;
};

const never = Number.POSITIVE_INFINITY;

export function createOperators(options: OperatorsOptions) {
  const { database, tables, truth, scheduler, random, fault, temper, count, say } = options;
  const { inbox, lines, records } = tables;
  const actor: Actor = { name: 'operator', state: 'up' };
  const discarded: Row[] = [];

  /** Runs by itself; what fails here is the operator's to see. */
  function ask(verb: Verb, id: number): void {
    const work = verb === 'restore' ? restore : (tx: Tx) => decide(tx, verb, id);
    database.transaction(actor, work).catch(() => {});
  }

  async function restore(tx: Tx): Promise<void> {
    const old = discarded.pop();
    if (old === undefined) return;
    tx.writes.push(() => {
      count('restore');
      const { p, place } = old;
      const inbox_id = `${old.inbox_id}+`;
      Object.assign(truth.factOf(p, place), { state: 'open', inbox_id, unordered: true, notBefore: never });
      const key = old.key?.toString('latin1') ?? null;
      const line = tables.addLine({
        id: tables.nextId(),
        p,
        key,
        detached: true,
        attempt: 0,
        notBefore: never,
        lastOffset: -1,
      });
      tables.keep(line, { ...old, inbox_id, deaths: 1 });
    });
  }

  async function decide(tx: Tx, verb: Exclude<Verb, 'restore'>, id: number): Promise<void> {
    await database.lock(tx, `record ${id}`);
    const row = records.get(id);
    if (row === undefined) return;
    if (verb !== 'replay' && !(verb === 'release' && fault === 'release-same-id')) {
      await database.lock(tx, `inbox ${row.inbox_id}`);
      if (inbox.has(row.inbox_id)) return count('refused: handled already');
    }
    const line = lines.get(row.line);
    if (line === undefined) return;
    await database.lock(tx, `line ${line.id}`);
    const isHead = tables.headOf(line)?.id === id;
    if ((verb === 'replay' && !isHead) || (verb === 'release' && (!isHead || line.detached))) return;
    tx.writes.push(() => {
      count(verb);
      say(verb, row.event_id);
      carryOut[verb](row, line, isHead);
    });
  }

  const carryOut = {
    discard(row: Row, line: Line): void {
      if (fault !== 'discard-no-inbox') inbox.set(row.inbox_id, 'discarded');
      truth.discarded(row.p, row.place);
      discarded.push({ ...row });
      tables.leave(line, row, line.depth === 1, scheduler.now());
    },
    edit(row: Row, line: Line, isHead: boolean): void {
      if (fault !== 'edit-no-inbox') inbox.set(row.inbox_id, 'edited');
      row.event_id = `${row.inbox_id}'`;
      row.inbox_id = row.event_id;
      row.headers = { ...row.headers, id: row.event_id };
      temper.set(row.event_id, random.pick([0, 0, 1]));
      const { event_id, inbox_id } = row;
      Object.assign(truth.factOf(row.p, row.place), { event_id, inbox_id });
      if (!isHead || random.chance(0.2)) return;
      if (fault === 'edit-replay-elsewhere' && !line.detached) replayNow(row, detach(row, line));
      else replayNow(row, line);
    },
    replay: (row: Row, line: Line): void => replayNow(row, line),
    release(row: Row, line: Line): void {
      const fact = truth.factOf(row.p, row.place);
      Object.assign(fact, { unordered: true, notBefore: never });
      if (fault !== 'release-same-id') {
        inbox.set(row.inbox_id, 'released');
        row.inbox_id = `${row.inbox_id}^`;
        fact.inbox_id = row.inbox_id;
      }
      if (line.notBefore < never && fault !== 'release-silent') row.deaths += 1;
      detach(row, line);
    },
  };

  const detach = (row: Row, line: Line): Line => tables.detach(line, row, line.depth === 1, scheduler.now());

  function replayNow(row: Row, line: Line): void {
    line.notBefore = scheduler.now();
    truth.factOf(row.p, row.place).notBefore = 0;
  }

  return {
    ask,
    /** Any record, more often a head. */
    disturb(): void {
      const all = [...records.values()];
      if (all.length === 0) return;
      const heads = [...lines.values()].flatMap((line) => tables.headOf(line) ?? []);
      ask(random.pick(verbs), random.pick(random.chance(0.8) ? heads : all).id);
    },
    /** One of the dead letters that were announced, if it still waits for a decision. */
    mend(): void {
      const letters = truth.letters();
      if (letters.length === 0) return;
      const row = records.get(random.pick(letters));
      if (row === undefined || lines.get(row.line)?.notBefore !== never) return;
      ask(random.pick(['replay', 'replay', 'edit', 'discard', 'release']), row.id);
    },
  };
}
