/**
 * Whose turn it is, and what time it is: every wait of the world is a promise that is settled here, one at a time,
 * in an order that the seed decides. Nothing else of the program waits for anything.
 */
import type { Random } from './random.ts';

/** Something that can stand still: an instance, or the operators. */
export type Actor = { name: string; state: 'up' | 'frozen' | 'down' };

export type Timer = { cancel(): void };

type Turn = { actor: Actor; go: () => void };
type Alarm = Turn & { at: number };

export type Scheduler = ReturnType<typeof createScheduler>;

export function createScheduler(random: Random) {
  let turns: Turn[] = [];
  let alarms: Alarm[] = [];
  let now = 1_000_000;
  let steps = 0;

  function advance(ms: number): void {
    now += ms;
    const due = alarms.filter(({ at }) => at <= now);
    if (due.length === 0) return;
    alarms = alarms.filter(({ at }) => at > now);
    turns.push(...due);
  }

  return {
    now: () => now,
    steps: () => steps,
    /** Waits for a turn: before it anything may happen, and a frozen actor gets none. */
    turn: (actor: Actor): Promise<void> => new Promise((go) => void turns.push({ actor, go })),
    after(actor: Actor, ms: number, then: () => void): Timer {
      const alarm = { actor, at: now + Math.max(0, ms), go: then };
      alarms.push(alarm);
      return {
        cancel() {
          alarms = alarms.filter((it) => it !== alarm);
          turns = turns.filter((it) => it !== alarm);
        },
      };
    },
    advance,
    /** Whatever the actor waits for never comes. */
    forget(actor: Actor): void {
      turns = turns.filter((it) => it.actor !== actor);
      alarms = alarms.filter((it) => it.actor !== actor);
    },
    /** Gives one turn, and comes back when all that follows from it waits again. */
    async step(): Promise<void> {
      steps += 1;
      const at = random.int(turns.length);
      const turn = turns[at];
      if (turn === undefined) {
        const next = Math.min(...alarms.map((it) => it.at));
        if (next < Number.POSITIVE_INFINITY) advance(Math.max(0, next - now));
        return;
      }
      if (turn.actor.state !== 'up') return;
      turns[at] = turns.at(-1) ?? turn;
      turns.pop();
      turn.go();
      await quiet();
    },
  };
}

/** Resolves once no promise has anything left to do: the queue of ticks comes after that of promises. */
function quiet(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
