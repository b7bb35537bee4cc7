/**
 * A Postgres of the protocol's size: rows, row locks that are held to the end of a transaction, READ COMMITTED,
 * transactions that something may come between at each statement, clients that die or stand still inside one,
 * and replies that are lost.
 */
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';

export type Tx = {
  actor: Actor;
  held: Set<string>;
  /** What COMMIT does; nothing of it is seen before. */
  writes: (() => void)[];
  /** Inbox ids that it closes. */
  claimed: string[];
  dead: boolean;
};

export type Database = ReturnType<typeof createDatabase>;

export type DatabaseOptions = {
  scheduler: Scheduler;
  random: Random;
  count(what: string): void;
  /** Ends the run: something that was promised does not hold. */
  violate(what: string): never;
  /** How likely the reply to a COMMIT is lost at present, 0 to 1. */
  lossRate(): number;
};

const waitsMax = 5_000;

export function createDatabase({ scheduler, random, count, violate, lossRate }: DatabaseOptions) {
  const locks = new Map<string, Map<Tx, 'S' | 'X'>>();
  const open = new Set<Tx>();
  const leftToServer = new Set<Tx>();

  function end(tx: Tx): void {
    open.delete(tx);
    for (const name of tx.held) {
      const holders = locks.get(name);
      holders?.delete(tx);
      if (holders?.size === 0) locks.delete(name);
    }
    tx.held.clear();
  }

  function abort(tx: Tx): void {
    tx.dead = true;
    end(tx);
  }

  function commit(tx: Tx): void {
    for (const write of tx.writes) write();
    end(tx);
  }

  const lockable = (tx: Tx, name: string, mode: 'S' | 'X') => {
    for (const [other, its] of locks.get(name) ?? []) {
      if (other !== tx && (mode === 'X' || its === 'X')) return false;
    }
    return true;
  };

  return {
    /** One statement's worth of time. */
    async statement(tx: Tx): Promise<void> {
      await scheduler.turn(tx.actor);
      if (tx.dead) throw connectionLost();
    },
    async lock(tx: Tx, name: string, mode: 'S' | 'X' = 'X'): Promise<void> {
      await scheduler.turn(tx.actor);
      for (let waits = 0; ; waits += 1) {
        if (tx.dead) throw connectionLost();
        if (lockable(tx, name, mode)) break;
        if (waits === 0) count('lock waits');
        if (waits > waitsMax) violate(`stuck: ${tx.actor.name} waits for ${name}`);
        await scheduler.turn(tx.actor);
      }
      const holders = locks.get(name) ?? new Map<Tx, 'S' | 'X'>();
      locks.set(name, holders);
      if (holders.get(tx) !== 'X') holders.set(tx, mode);
      tx.held.add(name);
    },
    /** FOR UPDATE SKIP LOCKED: false when another has it. */
    async tryLock(tx: Tx, name: string): Promise<boolean> {
      if (tx.dead) throw connectionLost();
      if (!lockable(tx, name, 'X')) return false;
      const holders = locks.get(name) ?? new Map<Tx, 'S' | 'X'>();
      locks.set(name, holders.set(tx, 'X'));
      tx.held.add(name);
      return true;
    },
    async transaction<T>(actor: Actor, body: (tx: Tx) => Promise<T>): Promise<T> {
      const tx: Tx = { actor, held: new Set(), writes: [], claimed: [], dead: false };
      open.add(tx);
      try {
        const result = await body(tx);
        // The last moment before COMMIT reaches the server.
        await scheduler.turn(actor);
        if (tx.dead) throw connectionLost();
        if (random.chance(lossRate() / 2)) {
          // The connection broke while the server was about to commit, and will.
          count('replies lost');
          leftToServer.add(tx);
          throw connectionLost();
        }
        commit(tx);
        // Committed, and the client does not know yet.
        await scheduler.turn(actor);
        if (random.chance(lossRate())) {
          count('replies lost');
          throw random.chance(0.5) ? connectionLost() : new Error('the reply was lost');
        }
        return result;
      } finally {
        if (!leftToServer.has(tx)) end(tx);
      }
    },
    /** Finishes one COMMIT whose client has gone. */
    goOn(): void {
      for (const tx of leftToServer) {
        leftToServer.delete(tx);
        commit(tx);
        return;
      }
    },
    /** Ends one transaction whose client does not move, as idle_in_transaction_session_timeout does. */
    endIdle(): void {
      for (const tx of open) {
        if (tx.actor.state === 'up' || leftToServer.has(tx)) continue;
        abort(tx);
        count('idle transactions ended');
        return;
      }
    },
  };
}

/** As pg says it; an error of this code means that Postgres is away. */
function connectionLost(): Error {
  return Object.assign(new Error('terminating connection'), { code: '57P05' });
}
