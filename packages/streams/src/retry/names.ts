/** The topics of a group that keeps no order: one a delay, and one for what an operator sends back. */

/** Waits before the second to the fifth attempt, in milliseconds. */
export const usualDelaysMs: readonly number[] = [60_000, 120_000, 240_000, 3_600_000];

/** Above this a wait is a mistake. */
export const delayMsMax = 7 * 24 * 3_600_000;

/** Where records wait for `delayMs`: `<group>.retry.60s`; what is no whole number of seconds is in ms. */
export function tierTopicOf(groupId: string, delayMs: number): string {
  return `${groupId}.retry.${tierNameOf(delayMs)}`;
}

export function tierNameOf(delayMs: number): string {
  return delayMs % 1_000 === 0 ? `${delayMs / 1_000}s` : `${delayMs}ms`;
}

/** What comes here is tried once more, without the tiers. */
export function replayTopicOf(groupId: string): string {
  return `${groupId}.replay`;
}

/** Every topic that such a group reads beside its own; delays that are there twice share theirs. */
export function retryTopicsOf(groupId: string, delaysMs: readonly number[]): string[] {
  const tiers = delaysMs.map((delayMs) => tierTopicOf(groupId, delayMs));
  return [...new Set(tiers), replayTopicOf(groupId)];
}

/**
 * Reads delays as a setting has them.
 *
 * Throws RangeError when one of them is no whole number of milliseconds from 1 to a week.
 */
export function delaysFrom(texts: readonly string[]): number[] {
  return texts.map((text) => {
    const delayMs = Number(text);
    if (!/^\d+$/.test(text) || delayMs < 1 || delayMs > delayMsMax) {
      throw new RangeError(`A delay is a whole number of milliseconds from 1 to ${delayMsMax}, not ${text}`);
    }
    return delayMs;
  });
}
