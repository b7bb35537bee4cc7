/** Work that many may do at once, and now and then somebody alone: so that it is known who ended the process. */
export type Alone = {
  together<T>(work: () => Promise<T>): Promise<T>;
  alone<T>(work: () => Promise<T>): Promise<T>;
};

export function createAlone(): Alone {
  let running = 0;
  // The last who wants to be alone; who comes later waits for it.
  let last: Promise<void> | undefined;
  let wake = () => {};

  function left(): void {
    running -= 1;
    if (running === 0) wake();
  }

  async function nobodyRuns(): Promise<void> {
    while (running > 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    async together(work) {
      while (last !== undefined) await last;
      running += 1;
      try {
        return await work();
      } finally {
        left();
      }
    },
    async alone(work) {
      const before = last;
      const { promise: mine, resolve } = Promise.withResolvers<void>();
      last = mine;
      try {
        await before;
        await nobodyRuns();
        return await work();
      } finally {
        if (last === mine) last = undefined;
        resolve();
      }
    },
  };
}
