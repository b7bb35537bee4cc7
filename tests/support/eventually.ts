/** Waits for an outcome, never for a time. */

export type EventuallyOptions = { withinMs?: number; everyMs?: number };

/**
 * Calls fn until it neither throws nor gives false, and returns what it gave.
 * When the deadline passes, throws its last error; so fn is usually a few assertions.
 */
export async function eventually<T>(
  fn: () => T | Promise<T>,
  { withinMs = 10_000, everyMs = 25 }: EventuallyOptions = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    try {
      const outcome = await fn();
      if (outcome !== false) return outcome;
      if (Date.now() >= deadline) throw new Error('it stayed false');
    } catch (error) {
      if (Date.now() >= deadline) {
        if (error instanceof Error) error.message += ` (still so after ${withinMs} ms)`;
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
