/**
 * Judges what clients saw against what the REST API acknowledged.
 *
 * An acknowledged step is an order at a version: version 1 is its creation, each transition adds one. The
 * event of a step carries the order at that version, so steps and events compare without any clock.
 */

/** A step that the API answered with success: it may not be lost. */
export type AcknowledgedStep = { tenant_id: string; order_id: string; version: number };

/** An event as one client received it, in the order of arrival. */
export type SeenEvent = { event_id: string; tenant_id: string; order_id: string; version: number };

export type Verdict = {
  acknowledged: number;
  seen: number;
  /** Acknowledged and never seen. */
  lost: AcknowledgedStep[];
  /** Seen more than once: the same event id, or the same step under two ids. */
  doubled: SeenEvent[];
  /** Seen after a later step of the same order. */
  reordered: SeenEvent[];
  /** Seen by a client of another tenant. */
  foreign: SeenEvent[];
};

/** Judges one client of one tenant, entitled to all orders of that tenant. */
export function judge(tenantId: string, acknowledged: AcknowledgedStep[], seen: SeenEvent[]): Verdict {
  const eventIds = new Set<string>();
  const steps = new Set<string>();
  const lastVersion = new Map<string, number>();
  const verdict: Verdict = {
    acknowledged: 0,
    seen: seen.length,
    lost: [],
    doubled: [],
    reordered: [],
    foreign: [],
  };
  for (const event of seen) {
    if (event.tenant_id !== tenantId) verdict.foreign.push(event);
    if (eventIds.has(event.event_id) || steps.has(stepKey(event))) verdict.doubled.push(event);
    else if (event.version < (lastVersion.get(event.order_id) ?? 0)) verdict.reordered.push(event);
    eventIds.add(event.event_id);
    steps.add(stepKey(event));
    lastVersion.set(event.order_id, Math.max(event.version, lastVersion.get(event.order_id) ?? 0));
  }
  const owed = acknowledged.filter((step) => step.tenant_id === tenantId);
  verdict.acknowledged = owed.length;
  verdict.lost = owed.filter((step) => !steps.has(stepKey(step)));
  return verdict;
}

/** True when nothing was lost, doubled, reordered or seen by a stranger. */
export function isClean(verdict: Verdict): boolean {
  return [verdict.lost, verdict.doubled, verdict.reordered, verdict.foreign].every(
    (list) => list.length === 0,
  );
}

/**
 * The rate of failure that n clean trials still allow, at 95 % confidence: 3/n ("rule of three",
 * Hanley and Lippman-Hand, JAMA 1983).
 */
export function upperBound(cleanTrials: number): number {
  return cleanTrials === 0 ? 1 : 3 / cleanTrials;
}

const stepKey = (step: { order_id: string; version: number }) => `${step.order_id}@${step.version}`;
