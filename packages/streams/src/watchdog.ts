/** Notices that a consumer has stopped without saying so: kafkajs can lose its loop and stay connected. */
export type Watchdog = {
  /** It lives. */
  sign(): void;
  /** How long ago it last gave a sign. */
  silentMs(): number;
  /** Calls onStall when it has been silent for too long; meant to be called every few seconds. */
  check(): void;
};

/** @param now milliseconds, as Date.now */
export function createWatchdog({
  stallMs,
  onStall,
  now,
}: {
  stallMs: number;
  onStall: (silentMs: number) => void;
  now: () => number;
}): Watchdog {
  let lastSign = now();
  let lastCheck = now();

  return {
    sign() {
      lastSign = now();
    },
    silentMs: () => now() - lastSign,
    check() {
      const at = now();
      // The whole process stood still, or was suspended: the consumer deserves its time like everyone.
      const wasFrozen = at - lastCheck > stallMs;
      lastCheck = at;
      if (wasFrozen) lastSign = at;
      const silent = at - lastSign;
      if (silent < stallMs) return;
      lastSign = at;
      onStall(silent);
    },
  };
}
