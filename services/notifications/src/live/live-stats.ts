/** Plain counts of the hot path; metrics are made of them once a second. */

export type LiveStats = ReturnType<typeof newLiveStats>;
export type GapReason = 'epoch_changed' | 'expired' | 'truncated' | 'too_old' | 'unavailable' | 'bad_cursor';

export function newLiveStats() {
  const gaps: Record<GapReason, number> = {
    epoch_changed: 0,
    expired: 0,
    truncated: 0,
    too_old: 0,
    unavailable: 0,
    bad_cursor: 0,
  };
  return {
    received: 0,
    skipped: 0,
    decoded: 0,
    hidden: 0,
    writes: 0,
    deliveries: { ws: 0, sse: 0 },
    fellBehind: 0,
    replayed: 0,
    resumes: { ring: 0, kafka: 0 },
    gaps,
  };
}
