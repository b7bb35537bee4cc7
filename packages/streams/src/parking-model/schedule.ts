/**
 * One schedule: a small world from its seed, in which processes run the real owner, driver and partition while
 * they crash, freeze, wake, lose their partitions and hear of it late, and people mend what they find.
 *
 *   chaos → no more disturbances, and nobody mends (I6, I7) → everything can be handled, and people mend (I8)
 */
import type { ConsumedRecord } from '../record.ts';
import { createCluster, place } from './cluster.ts';
import { createDatabase } from './database.ts';
import type { Fault } from './faults.ts';
import { createOperators } from './operators.ts';
import { createProcess, type Process, type ProcessOptions } from './process.ts';
import { createRandom, type Random } from './random.ts';
import { createScheduler } from './scheduler.ts';
import { createTables } from './tables.ts';
import { createTruth, type Fact } from './truth.ts';
import { Violation } from './violation.ts';

export type Stats = Record<string, number>;

export type ScheduleOptions = {
  seed: number;
  fault?: Fault | undefined;
  /** Counts are added to it. */
  stats?: Stats;
  /** Told of what happens, a line each. */
  trace?: (line: string) => void;
};

const never = Number.POSITIVE_INFINITY;

/** What did not hold; undefined when all did. The same options give the same answer. */
export async function runSchedule({
  seed,
  fault,
  stats = {},
  trace,
}: ScheduleOptions): Promise<string | undefined> {
  const random = createRandom(seed);
  const scheduler = createScheduler(random);
  const count = (what: string, by = 1) => {
    stats[what] = (stats[what] ?? 0) + by;
  };
  const say = (...words: unknown[]) =>
    trace?.(`${String(scheduler.steps()).padStart(5)} t=${scheduler.now() - 1_000_000} ${words.join(' ')}`);
  let violation: Violation | undefined;
  const violate = (what: string): never => {
    violation ??= new Violation(what);
    throw violation;
  };

  let phase: 'chaos' | 'quiet' | 'mending' = 'chaos';
  const { log, facts, temper } = produce(random);
  const losses = random.pick([0.02, 0.02, 0.02, 0.15]);
  const decisions = random.pick([0.2, 0.2, 0.5]);
  const tables = createTables(log.length);
  const truth = createTruth(facts, tables, violate);
  const database = createDatabase({
    scheduler,
    random,
    count,
    violate,
    lossRate: () => (phase === 'chaos' ? losses : 0),
  });
  const cluster = createCluster({ log, random, truth, count, say });
  const shared = { database, tables, truth, scheduler, random, fault, temper, count, violate, say };
  const operators = createOperators(shared);
  const cap = random.chance(0.15) ? 1 + random.int(2) : never;
  const processOptions: ProcessOptions = {
    ...shared,
    cluster,
    caps: { lineRecords: cap, lineBytes: never, partitionRecords: cap + 1 },
    // None: the first failure is the last.
    delaysMs: [200, 400, 800, 2_400].slice(0, random.int(random.chance(0.3) ? 5 : 3)),
    deadHead: random.chance(0.1) ? 'skip' : 'wait',
    inBatches: random.chance(0.25),
    mayFail: () => phase !== 'mending',
  };
  const slots: Process[] = Array.from({ length: 2 + random.int(2) }, (_, at) =>
    createProcess(`i${at}`, processOptions),
  );
  let starts = slots.length;

  const restart = (at: number) => {
    slots[at] = createProcess(`i${starts++}`, processOptions);
  };
  const rebalance = () =>
    cluster.rebalance(slots.flatMap(({ actor }) => (actor.state === 'up' ? actor : [])));

  function disturb(): void {
    if (random.chance(decisions)) {
      operators.disturb();
      return;
    }
    const what = random.next() * 0.8;
    const at = random.int(slots.length);
    const process = slots[at];
    if (process === undefined) return;
    const { actor } = process;
    if (what < 0.13) rebalance();
    else if (what < 0.19 && actor.state === 'up') {
      count('crashes');
      say('crash', actor.name);
      process.crash();
    } else if (what < 0.32 && actor.state === 'up') {
      count('freezes');
      say('freeze', actor.name);
      actor.state = 'frozen';
    } else if (what < 0.5) wake(at);
    else if (what < 0.62) endIdle();
    else scheduler.advance(1 + random.int(400));
  }

  function wake(at: number): void {
    const actor = slots[at]?.actor;
    if (actor?.state === 'down') restart(at);
    else if (actor?.state === 'frozen') {
      say('wake', actor.name);
      actor.state = 'up';
    }
  }

  function endIdle(): void {
    if (fault !== 'no-idle-timeout') database.endIdle();
    database.goOn();
  }

  async function step(): Promise<void> {
    if (random.chance(0.2)) cluster.produce();
    // Who missed a rebalance notices some time.
    for (const process of slots) if (random.chance(0.03)) process.heartbeat();
    await scheduler.step();
    if (violation !== undefined) throw violation;
  }

  async function runUntil(
    settled: () => boolean,
    limit: number,
    what: () => string,
    each?: () => void,
  ): Promise<void> {
    for (let steps = 0; steps < limit; steps += 1) {
      await step();
      if (steps % 10 !== 0) continue;
      if (settled()) return;
      endIdle();
      scheduler.advance(random.int(100));
      each?.();
    }
    violate(`stuck: ${what()}`);
  }

  const openKeys = () => `open: ${truth.unresolved()}; lines: ${[...tables.lines.keys()]}`;

  function checkQuiet(): void {
    for (const row of tables.records.values())
      if (!truth.isAnnounced(row)) violate(`nobody was told that ${row.event_id} is dead`);
    if (cap < never) return;
    for (const fact of truth.all()) {
      const isHealthy = truth
        .all()
        .every((other) => other.key !== fact.key || other.p !== fact.p || other.isGood);
      if (isHealthy && fact.state === 'open' && !fact.unordered)
        violate(`healthy ${fact.event_id} is blocked`);
    }
  }

  try {
    rebalance();
    const calm = 8 + random.int(25);
    for (let left = 150 + random.int(450); left > 0; left -= 1) {
      await step();
      if (random.int(calm) === 0) disturb();
    }
    phase = 'quiet';
    say('— no more disturbances');
    for (const at of slots.keys()) wake(at);
    rebalance();
    const isQuiet = () =>
      cluster.isProduced() &&
      (cap < never || cluster.isDone()) &&
      [...tables.lines.values()].every((line) => line.notBefore === never) &&
      [...tables.records.values()].every((row) => row.announced >= row.deaths);
    await runUntil(isQuiet, 30_000, () => `a healthy key, a retry or an announcement; ${openKeys()}`);
    checkQuiet();
    phase = 'mending';
    say('— people mend');
    const isEmpty = () => tables.lines.size === 0 && tables.records.size === 0;
    const isOver = () => truth.unresolved().length === 0 && isEmpty() && cluster.isDone();
    await runUntil(isOver, 60_000, () => `unresolved; ${openKeys()}`, operators.mend);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    say('VIOLATION', error.message);
    return error.message;
  } finally {
    count('steps', scheduler.steps());
    for (const process of slots) process.crash();
  }
  return undefined;
}

/** 1 or 2 partitions, each with up to three keys, of which some fail always, sometimes or never. */
function produce(random: Random) {
  const log: ConsumedRecord[][] = [];
  const facts: Fact[][] = [];
  const temper = new Map<string, number>();
  const partitions = 1 + random.int(2);
  for (let p = 0; p < partitions; p += 1) {
    const tempers = { a: random.pick([[0], [0, 0.5, 1]]), b: [0, 0, 0.5, 1], none: [0, 1] };
    log.push([]);
    facts.push([]);
    for (let at = 0, n = 3 + random.int(5); at < n; at += 1) {
      const name = random.chance(0.03) ? 'none' : random.chance(0.6) ? 'b' : 'a';
      const key = name === 'none' ? null : `${p}${name}`;
      const id = `e${p}.${at}`;
      const failing = random.pick(tempers[name]);
      temper.set(id, failing);
      const headers = { id, tenant_id: 'tenant' };
      const bytes = { key: key === null ? null : Buffer.from(key), value: Buffer.from(id), headers };
      log[p]?.push({ topic: place.topic, partition: p, offset: String(at), timestamp: 0, ...bytes });
      // What nobody can make sense of is known by its address.
      const ids =
        key === null
          ? { event_id: '', inbox_id: `at:${place.topic}/${p}/${at}` }
          : { event_id: id, inbox_id: id };
      const fact = { p, place: at, key, ...ids, isGood: failing === 0 };
      facts[p]?.push({ ...fact, state: 'open', unordered: key === null, notBefore: 0 });
    }
  }
  return { log, facts, temper };
}
