/** Time as code sees it that must also run in a model's time. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  after(ms: number, then: () => void): { cancel(): void };
};

export const systemClock: Clock = {
  now: Date.now,
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
