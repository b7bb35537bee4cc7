/** What the sentinel remembers: when each of its orders was placed, and the newest one seen at each stage. */

/**
 * `accepted`: answered by REST. `live`: the event came on a socket. `handled`: a consumer group made it a
 * notification, which came on a socket.
 */
export type Stage = 'accepted' | 'live' | 'handled';

export type SentinelState = 'ok' | 'late' | 'starting' | 'off';

export type Age = { stage: Stage; instance: string; ageS: number };

export type Book = ReturnType<typeof createBook>;

const remembered = 100;

/**
 * An age is the time since the newest order that passed the stage was placed: it grows by itself while nothing
 * passes, whatever the reason, and needs nobody to notice a failure.
 */
export function createBook(options: {
  places: readonly { stage: Stage; instance: string }[];
  lateAfterMs: number;
  startedAt: number;
}) {
  const { places, lateAfterMs, startedAt } = options;
  const placedAt = new Map<string, number>();
  const newest = new Map<string, number>();
  // A socket may be faster than the answer of REST: kept until the order is known to be ours.
  const early = new Map<string, { stage: Stage; instance: string; at: number }[]>();

  const keyOf = (stage: Stage, instance: string) => `${stage} ${instance}`;

  function note(stage: Stage, instance: string, at: number): void {
    const key = keyOf(stage, instance);
    newest.set(key, Math.max(newest.get(key) ?? 0, at));
  }

  function ages(now: number): Age[] {
    return places.map(({ stage, instance }) => ({
      stage,
      instance,
      ageS: (now - (newest.get(keyOf(stage, instance)) ?? startedAt)) / 1000,
    }));
  }

  return {
    ages,

    /** An order was accepted; returns what sockets had told of it before. */
    placed(orderId: string, at: number): readonly { stage: Stage; instance: string; at: number }[] {
      placedAt.set(orderId, at);
      forgetOldest(placedAt);
      const before = early.get(orderId) ?? [];
      early.delete(orderId);
      for (const { stage, instance } of before) note(stage, instance, at);
      return before;
    },

    /** An order was seen at a stage; returns when it was placed, or undefined when it is not known yet. */
    seen(stage: Stage, instance: string, orderId: string, at: number): number | undefined {
      const placed = placedAt.get(orderId);
      if (placed === undefined) {
        early.set(orderId, [...(early.get(orderId) ?? []), { stage, instance, at }]);
        forgetOldest(early);
      } else {
        note(stage, instance, placed);
      }
      return placed;
    },

    state(now: number): SentinelState {
      if (ages(now).some(({ ageS }) => ageS * 1000 > lateAfterMs)) return 'late';
      return places.every(({ stage, instance }) => newest.has(keyOf(stage, instance))) ? 'ok' : 'starting';
    },
  };
}

function forgetOldest(entries: Map<string, unknown>): void {
  if (entries.size <= remembered) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}
