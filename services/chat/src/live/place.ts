/**
 * Places in the events of one conversation, as clients hold them: sealed, and the same on every instance. A place is of
 * one conversation, which has one partition; another's cursor is no cursor. It carries no rights.
 */
import { createHash } from 'node:crypto';
import type { CursorSealer } from '@ragline/streams/cursor';
import type { Mark } from './sieve.ts';

export type Place = {
  /** Of the topic: one that was made anew has another. */
  epoch: number;
  /** The next offset to read in the conversation's partition. */
  next: number;
  /** The last event that was told, so that stragglers of its turn are known as such. */
  last: { turn: number; generation: number; sequence: number } | undefined;
};

// What a sealed number can hold.
const numberBits = 40n;

export function createPlaces(sealer: CursorSealer) {
  return {
    seal(conversationId: string, { epoch, next, last }: Place): string {
      const { turn = 0, generation = 0, sequence = 0 } = last ?? {};
      return sealer.seal([{ epoch, next: [digest(conversationId), next, turn, generation, sequence] }]);
    },
    /** undefined for a text that is no place in this conversation. */
    open(conversationId: string, text: string): Place | undefined {
      const [position, ...more] = sealer.open(text) ?? [];
      if (position === undefined || more.length > 0 || position.next.length !== 5) return undefined;
      const [conversation, next = 0, turn = 0, generation = 0, sequence = 0] = position.next;
      if (conversation !== digest(conversationId)) return undefined;
      const last = turn === 0 ? undefined : { turn, generation, sequence };
      return { epoch: position.epoch, next, last };
    },
  };
}

export type Places = ReturnType<typeof createPlaces>;

export function lastOf({ turn_id, generation, sequence }: Mark): Place['last'] {
  return { turn: digest(turn_id), generation, sequence };
}

/** Whether the event was told before the place was taken: the same turn, and not after the last. */
export function isTold(mark: Mark, { last }: Place): boolean {
  if (last === undefined || digest(mark.turn_id) !== last.turn) return false;
  if (mark.generation !== last.generation) return mark.generation < last.generation;
  return mark.sequence <= last.sequence;
}

/** 40 bits of a hash: never 0, which says that there is none. */
function digest(id: string): number {
  const bits = createHash('sha256').update(id).digest().readBigUInt64BE();
  return Number(BigInt.asUintN(Number(numberBits), bits)) || 1;
}
