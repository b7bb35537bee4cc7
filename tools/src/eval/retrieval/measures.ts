/** How good a ranking is, by the usual measures. Pure. */

/** Ids in the order in which they were found, each once. */
export type Ranking = readonly string[];
/** What is relevant, and how much so: 1 and more. */
export type Judgements = ReadonlyMap<string, number>;

/** Which part of what is relevant stands among the first k. */
export function recallAt(k: number, ranking: Ranking, judgements: Judgements): number {
  if (judgements.size === 0) return 0;
  const found = ranking.slice(0, k).filter((id) => judgements.has(id)).length;
  // No list of k can hold more than k.
  return found / Math.min(judgements.size, k);
}

/** One by the place of the first that is relevant; 0 when none is among the first k. */
export function reciprocalRankAt(k: number, ranking: Ranking, judgements: Judgements): number {
  const place = ranking.slice(0, k).findIndex((id) => judgements.has(id));
  return place < 0 ? 0 : 1 / (place + 1);
}

/** Gain, discounted by place, as a part of what the best order would gain. */
export function ndcgAt(k: number, ranking: Ranking, judgements: Judgements): number {
  const gained = ranking.slice(0, k).map((id) => judgements.get(id) ?? 0);
  const best = [...judgements.values()].sort((a, b) => b - a).slice(0, k);
  const ideal = discounted(best);
  return ideal === 0 ? 0 : discounted(gained) / ideal;
}

function discounted(gains: readonly number[]): number {
  return gains.reduce((sum, gain, place) => sum + gain / Math.log2(place + 2), 0);
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
