/** How a handler treats an event: decided by the event's id alone, so that every process decides the same. */
import { createHash } from 'node:crypto';

/** A short ladder: three retries. */
export const delaysMs: readonly number[] = [300, 800, 1_500];

export type Temper = {
  kind: 'good' | 'flaky' | 'doomed';
  failsBefore(attempt: number): boolean;
  failsInside(attempt: number): boolean;
  effectMs: number;
};

/** Of a hundred ids 86 are good, 9 fail once or twice, and 5 fail for ever. */
export function temperOf(eventId: string): Temper {
  const [share = 0, side = 0, times = 0, slow = 0] = createHash('sha256').update(eventId).digest();
  const kind = share < 220 ? 'good' : share < 243 ? 'flaky' : 'doomed';
  const fails = (attempt: number) => kind === 'doomed' || (kind === 'flaky' && attempt <= 1 + (times % 2));
  return {
    kind,
    failsBefore: (attempt) => side % 2 === 0 && fails(attempt),
    failsInside: (attempt) => side % 2 === 1 && fails(attempt),
    effectMs: slow % 8,
  };
}
