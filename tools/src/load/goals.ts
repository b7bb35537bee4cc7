/** Which goals of a load were missed: those that k6 judged, and those of what it cannot see. */
import type { Figures } from './figures.ts';

/** Of the reads of the catalogue: docs/benchmarks.md. */
const cacheGoal = 0.85;

/** Empty: all were reached. @param thresholdsHeld what k6 said */
export function missedGoals(
  thresholdsHeld: boolean,
  { requests, cacheHitRate, streams }: Pick<Figures, 'requests' | 'cacheHitRate' | 'streams'>,
): string[] {
  const missed: string[] = [];
  if (!thresholdsHeld) missed.push('a goal of the scenario was missed: k6 names it above');
  // k6 takes a threshold that measured nothing for one that held.
  if ((requests['POST /v1/orders']?.count ?? 0) === 0)
    missed.push('no order was placed: has the tenant products that are available?');
  if (cacheHitRate === undefined) missed.push('no instance of orders counted a read of the catalogue');
  else if (cacheHitRate < cacheGoal)
    missed.push(`reads of the catalogue found in a cache are below ${cacheGoal}`);
  if (streams !== undefined && streams.events === 0) missed.push('streams saw no event');
  if (streams !== undefined && streams.missing > 0) missed.push('streams missed events');
  if (streams !== undefined && streams.doubled > 0) missed.push('streams saw events twice');
  return missed;
}
