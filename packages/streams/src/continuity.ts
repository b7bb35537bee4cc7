/**
 * Does a batch go on where the last one ended?
 *
 * kafkajs can hand over a batch that was fetched before a rebalance after it, and can move its own position past
 * records that nobody handled (its issue 1720). Whatever the reason, a hole between two batches is a loss once it
 * is committed, so it is read again from where we stand.
 */
export type Continuity = {
  /**
   * Judges a batch that was fetched at `from`.
   *
   * take: it goes on here. rewind: read again from `at`. restart: the log begins anew below us (its topic was
   * made again, or its end was lost); what is handed over now is the truth.
   */
  judge(from: bigint): { kind: 'take' } | { kind: 'rewind'; at: bigint } | { kind: 'restart' };
  /** All below `next` was handed over. */
  reach(next: bigint): void;
};

/** @param start the group's committed offset; undefined when it has none, and the first batch decides */
export function createContinuity(start: bigint | undefined): Continuity {
  let next = start;
  let holeSeenAt: bigint | undefined;

  return {
    judge(from) {
      if (next === undefined || from === next) return { kind: 'take' };
      if (from < next) return { kind: 'restart' };
      // The same hole again after reading from its edge is the log's own: retention removed what was in it.
      if (holeSeenAt === from) return { kind: 'take' };
      holeSeenAt = from;
      return { kind: 'rewind', at: next };
    },
    reach(to) {
      next = to;
      holeSeenAt = undefined;
    },
  };
}
