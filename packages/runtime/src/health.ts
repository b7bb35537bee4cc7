/** Readiness: may this process be sent work? (That it lives, it shows by answering at all.) */

export type Readiness = {
  status: 'ready' | 'not_ready';
  checks: Record<string, 'ok' | string>;
  /** What is worth knowing and keeps no work away. */
  details?: Record<string, string>;
};
export type HealthCheck = () => void | Promise<void>;

export type Health = {
  /** Adds a check, or replaces the one of that name; it fails by throwing, its message says what is wrong. */
  check(name: string, check: HealthCheck): void;
  /** Adds what readiness shows beside its checks while there is something to say. */
  detail(name: string, detail: () => string | undefined): void;
  /** From now on not ready: called first when the service stops, so that no new work is sent. */
  stopping(): void;
  ready(): Promise<Readiness>;
};

/** A check that takes longer than `checkWithinMs` counts as failed: readiness always answers. */
export function createHealth({ checkWithinMs = 2_000 }: { checkWithinMs?: number } = {}): Health {
  const checks = new Map<string, HealthCheck>();
  const details = new Map<string, () => string | undefined>();
  let isStopping = false;

  return {
    check: (name, check) => void checks.set(name, check),
    detail: (name, detail) => void details.set(name, detail),
    stopping: () => {
      isStopping = true;
    },
    async ready() {
      const results = await Promise.all(
        [...checks].map(async ([name, check]) => [name, await resultOf(check, checkWithinMs)] as const),
      );
      if (isStopping) results.push(['process', 'stopping']);
      const isReady = results.every(([, result]) => result === 'ok');
      const said = [...details].flatMap(([name, detail]) => {
        const text = detail();
        return text === undefined ? [] : [[name, text] as const];
      });
      return {
        status: isReady ? 'ready' : 'not_ready',
        checks: Object.fromEntries(results),
        ...(said.length > 0 ? { details: Object.fromEntries(said) } : {}),
      };
    },
  };
}

async function resultOf(check: HealthCheck, withinMs: number): Promise<string> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${withinMs} ms`)), withinMs);
  try {
    await Promise.race([Promise.resolve().then(check), tooLate]);
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.message || error.name : String(error);
  } finally {
    clearTimeout(timer);
  }
}
