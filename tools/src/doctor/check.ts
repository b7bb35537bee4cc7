/** One thing that the doctor looks at, and what was found. */
import type { Settings } from '../parts/settings.ts';

export type Finding = {
  name: string;
  /** `warning`: works, but not as it should for long. `skipped`: cannot be told while something else is broken. */
  state: 'ok' | 'warning' | 'broken' | 'skipped';
  detail: string;
  /** One command, or one sentence where none can help; null when nothing is to be done. */
  mend: string | null;
};

/** What a check answers; one that throws is broken, with the error's message and the check's own remedy. */
export type Verdict = { state?: Finding['state']; detail: string; mend?: string };

export type Check = {
  name: string;
  /** Names of checks without which this one can tell nothing. */
  needs?: readonly string[];
  mend: string;
  run: (settings: Settings) => Promise<Verdict>;
};

const checkWithinMs = 20_000;

/** Runs the checks in their order; those that need a broken one are skipped. */
export async function examine(checks: readonly Check[], settings: Settings): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    const blocked = check.needs?.find((need) => isBroken(findings, need));
    findings.push(
      blocked === undefined
        ? await runCheck(check, settings)
        : { name: check.name, state: 'skipped', detail: `cannot be told without ${blocked}`, mend: null },
    );
  }
  return findings;
}

function isBroken(findings: readonly Finding[], name: string): boolean {
  return findings.some((it) => it.name === name && (it.state === 'broken' || it.state === 'skipped'));
}

async function runCheck(check: Check, settings: Settings): Promise<Finding> {
  try {
    const { state = 'ok', detail, mend } = await withDeadline(check.run(settings));
    return { name: check.name, state, detail, mend: state === 'ok' ? null : (mend ?? check.mend) };
  } catch (error) {
    return { name: check.name, state: 'broken', detail: reasonOf(error), mend: check.mend };
  }
}

function withDeadline<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = setTimeout(() => reject(new Error(`no answer in ${checkWithinMs / 1000} s`)), checkWithinMs);
  return Promise.race([work, promise]).finally(() => clearTimeout(late));
}

/** The innermost causes say most: "fetch failed" says nothing, its cause ECONNREFUSED does. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : error.message;
  const cause = error.cause === undefined ? '' : reasonOf(error.cause);
  return [own, cause].filter((text) => text !== '').join(': ');
}
