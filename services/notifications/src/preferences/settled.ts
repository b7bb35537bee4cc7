/**
 * Up to when nothing more can come: a notification has the database's time from before its commit, so a window may only be
 * counted when every transaction that was open at its end is over.
 */
import type { Pool } from '@ragline/postgres/pool';

/** The database's clock, and its transactions at that time: below `oldest` all are over, from `next` on none has begun. */
export type Sample = { at: number; oldest: bigint; next: bigint };

/** Longer than ours can last; somebody else's does not hold up everybody's digests. */
const waitMs = 30_000;
const samplesMax = 1_000;

export async function sampleOf(pool: Pool): Promise<Sample> {
  // now() is before the snapshot: what begins between is not over, nor is its time before `at`.
  const { rows } = await pool.query<{ at: Date; oldest: string; next: string }>({
    name: 'digest_sample',
    text: `SELECT now() AS at, pg_snapshot_xmin(s)::text AS oldest, pg_snapshot_xmax(s)::text AS next
             FROM pg_current_snapshot() s`,
  });
  const [row] = rows;
  if (row === undefined) throw new Error('no snapshot');
  return { at: row.at.getTime(), oldest: BigInt(row.oldest), next: BigInt(row.next) };
}

/** Gives for each sample the time up to which nothing more comes; it never goes back. */
export function createSettled(): (sample: Sample) => number {
  let waiting: Sample[] = [];
  let settled = 0;
  return (sample) => {
    waiting.push(sample);
    const isOver = ({ at, next }: Sample) => next <= sample.oldest || sample.at - at > waitMs;
    for (const it of waiting) if (isOver(it)) settled = Math.max(settled, it.at);
    waiting = waiting.filter((it) => !isOver(it)).slice(-samplesMax);
    return settled;
  };
}
