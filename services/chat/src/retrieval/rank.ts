/** Which candidates are shown: business rules, then diversity within a budget. Pure: what it needs is handed in. */

export type Rankable = {
  /** Cosine of query and chunk. */
  score: number;
  tokens: number;
  promoted: boolean;
  changedAt: Date;
  /** 1 long. */
  vector: Float32Array;
};
export type Ranked<T> = T & {
  /** Score and business rules in one number. */
  worth: number;
};

/** Less than what tells a fitting chunk from one beside the point: it decides among equals. */
const promotedBonus = 0.03;
const freshBonus = 0.01;
const freshForMs = 30 * 24 * 3_600_000;

/**
 * What a chunk is worth beside one that is just the same. Of two that share a subject (a likeness of 0.6) hardly anything
 * is taken: who asks for pizzas wants several, and nothing beside the point between them.
 */
const repeatedShare = 0.5;

/** Candidates by score and business rules, the best first; those under the floor are left out. */
export function byRules<T extends Rankable>(candidates: readonly T[], floor: number, now: Date): Ranked<T>[] {
  return candidates
    .filter(({ score }) => score >= floor)
    .map((candidate) => ({ ...candidate, worth: worthOf(candidate, now) }))
    .sort((one, other) => other.worth - one.worth);
}

function worthOf({ score, promoted, changedAt }: Rankable, now: Date): number {
  const ageMs = Math.max(0, now.getTime() - changedAt.getTime());
  return score + (promoted ? promotedBonus : 0) + freshBonus * Math.exp(-ageMs / freshForMs);
}

/**
 * The best chunks that do not say the same: one after the other, by what each is worth beside those already chosen, after
 * the manner of maximal marginal relevance. What does not fit into the budget is passed over. In the order they came in.
 */
export function diversified<T extends Ranked<Rankable>>(
  ranked: readonly T[],
  { limit, tokenBudget }: { limit: number; tokenBudget: number },
): T[] {
  const left = new Map(ranked.map((candidate) => [candidate, 0]));
  const chosen = new Set<T>();
  let room = tokenBudget;
  while (chosen.size < limit) {
    const best = bestOf(left, room);
    if (best === undefined) break;
    left.delete(best);
    chosen.add(best);
    room -= best.tokens;
    for (const [other, likeness] of left) left.set(other, Math.max(likeness, cosine(best, other)));
  }
  return ranked.filter((candidate) => chosen.has(candidate));
}

/** @param left each candidate with its likeness to the nearest that was chosen; the better ranked come first */
function bestOf<T extends Ranked<Rankable>>(left: ReadonlyMap<T, number>, room: number): T | undefined {
  let best: T | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const [candidate, likeness] of left) {
    if (candidate.tokens > room) continue;
    const gain = candidate.worth * (1 - (1 - repeatedShare) * likeness ** 4);
    if (gain > most) [best, most] = [candidate, gain];
  }
  return best;
}

function cosine({ vector: one }: Rankable, { vector: other }: Rankable): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}
