/** Work on many that come one by one: one batch at a time, and who comes meanwhile is in the next. */

/** Gives what adds to the next batch; it resolves, or rejects, with the batch. */
export function gathered<T>(
  work: (batch: readonly T[]) => Promise<void>,
  most: number,
): (one: T) => Promise<void> {
  const waiting: { one: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let isWorking = false;

  const run = async (): Promise<void> => {
    isWorking = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most);
      try {
        await work(batch.map(({ one }) => one));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isWorking = false;
  };

  return (one) =>
    new Promise((resolve, reject) => {
      waiting.push({ one, resolve, reject });
      if (!isWorking) void run();
    });
}
