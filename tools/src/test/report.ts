/** What the runner tells at the end. */

export type PhaseResult = {
  name: string;
  passed: number;
  skipped: number;
  failures: { title: string; message: string }[];
  ms: number;
};

/** One line a phase, what failed, and last, alone on its line, the sum. */
export function reportOf(results: readonly PhaseResult[]): string {
  const lines = ['', ...results.map(phaseLine)];
  const failures = results.flatMap(({ name, failures: list }) =>
    list.map((failure) => ({ name, ...failure })),
  );
  if (failures.length > 0) lines.push('', 'Failed:');
  for (const { name, title, message } of failures) {
    lines.push(
      `  ${name}: ${title}`,
      ...message
        .trimEnd()
        .split('\n')
        .slice(0, 12)
        .map((line) => `      ${line}`),
    );
  }
  return [...lines, '', sumLine(results)].join('\n');
}

/** `N passed, N failed`, and `, N skipped` when there are any. */
export function sumLine(results: readonly PhaseResult[]): string {
  const passed = sum(results, (result) => result.passed);
  const failed = sum(results, (result) => result.failures.length);
  const skipped = sum(results, (result) => result.skipped);
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function phaseLine({ name, passed, failures, skipped, ms }: PhaseResult): string {
  const counts = [
    `${passed} passed`,
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ];
  return `  ${name.padEnd(14)}${counts.join(', ').padEnd(34)}${(ms / 1000).toFixed(1).padStart(7)} s`;
}

function sum(results: readonly PhaseResult[], of: (result: PhaseResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
}
