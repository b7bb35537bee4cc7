/** A step of parking until its outcome is known: each is idempotent, so that an unknown one is the same once more. */

import type { Logger } from '@ragline/runtime/logger';
import type { Clock } from '../clock.ts';

/** The assignment is over: whoever has the partition now goes on from what is committed. */
export class Ended extends Error {
  override readonly name = 'Ended';
}

const firstWaitMs = 100;
const waitMsMax = 4_000;

/** Rejects with Fenced, or with Ended once nobody wants it any more; anything else is tried again. */
export async function again<T>(
  step: () => Promise<T>,
  what: string,
  { clock, log, isEnded }: { clock: Clock; log: Logger; isEnded: () => boolean },
): Promise<T> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, waitMsMax)) {
    if (isEnded()) throw new Ended('The assignment is over');
    try {
      return await step();
    } catch (error) {
      if (isFenced(error)) throw error;
      log.warn('parking tries a step again', { step: what, delay_ms: waitMs, error });
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
    }
  }
}

export function isFenced(error: unknown): boolean {
  return error instanceof Error && error.name === 'Fenced';
}
