/** Steps that start as soon as what they need is done, and that all end when one of them fails. */

export type Flow = {
  /** Aborted with the first failure. */
  signal: AbortSignal;
  /** Runs when everything in `needs` is done; never when one of them failed. */
  step<T>(needs: readonly Promise<unknown>[], run: () => T | Promise<T>): Promise<T>;
  /** Waits for every step, then throws the first failure. */
  done(): Promise<void>;
};

/** `outer` ends the flow as a failed step does. */
export function createFlow(outer?: AbortSignal): Flow {
  const controller = new AbortController();
  const follow = () => controller.abort(outer?.reason);
  if (outer?.aborted) follow();
  else outer?.addEventListener('abort', follow, { once: true });
  const steps: Promise<unknown>[] = [];
  return {
    signal: controller.signal,
    step(needs, run) {
      const result = (async () => {
        await Promise.all(needs);
        controller.signal.throwIfAborted();
        return await run();
      })();
      steps.push(
        result.catch((error: unknown) => {
          if (!controller.signal.aborted) controller.abort(error);
        }),
      );
      return result;
    },
    async done() {
      // A step may add another one while we wait.
      for (let known = 0; known < steps.length; ) {
        known = steps.length;
        await Promise.all(steps);
      }
      outer?.removeEventListener('abort', follow);
      controller.signal.throwIfAborted();
    },
  };
}
