/**
 * Lets each event of a turn pass once and in order: a send may be repeated, and a worker that was thought dead may
 * still write for a moment (docs/decisions/0117).
 */

/** What an event is known by, within its conversation. */
export type Mark = { turn_id: string; generation: number; sequence: number };

export type Sieve = {
  /** Whether the event is new; then all before it is old. */
  isNew(mark: Mark): boolean;
};

// Turns of a conversation follow each other; stragglers are of the last few.
const turnsKept = 16;

export function createSieve(): Sieve {
  const turns = new Map<string, Mark>();

  return {
    isNew(mark) {
      const last = turns.get(mark.turn_id);
      if (last !== undefined && !isAfter(mark, last)) return false;
      turns.delete(mark.turn_id);
      turns.set(mark.turn_id, mark);
      if (turns.size > turnsKept) for (const oldest of [...turns.keys()].slice(0, 1)) turns.delete(oldest);
      return true;
    },
  };
}

function isAfter(mark: Mark, last: Mark): boolean {
  if (mark.generation !== last.generation) return mark.generation > last.generation;
  return mark.sequence > last.sequence;
}
