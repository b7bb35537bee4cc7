/** `npm test`: all phases, one after the other, and a sum that a person and a machine can read. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type PhaseName, parseTestArguments, type TestArguments } from './arguments.ts';
import { stopChildren } from './child.ts';
import { testFiles } from './files.ts';
import { endLeft, markRun } from './leaks.ts';
import { type PhaseContext, phases } from './phases.ts';
import { type PhaseResult, reportOf } from './report.ts';
import type { TestStacks } from './stack.ts';

const root = join(import.meta.dirname, '..', '..', '..');

async function main(options: TestArguments): Promise<number> {
  const mark = markRun();
  const stackModule = () => import('./stack.ts');
  let stacks: TestStacks | undefined;
  const folder = join(root, '.ragline', `test-${mark}`);
  const context: PhaseContext = {
    root,
    folder,
    options,
    files: testFiles(root, options.files),
    async stacks() {
      // Loaded when first needed: unit tests and lint need none of it.
      stacks ??= (await stackModule()).createTestStacks(folder);
      return stacks;
    },
  };

  const results: PhaseResult[] = [];
  const end = once(async () => {
    await stopChildren();
    await stacks?.stop();
    if (needsFolder(options.phases)) await (await stackModule()).removeTestFolder(folder);
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      console.log(`\n  ${signal}: stopping what was started …`);
      void end().finally(() => {
        // Tests that were cut off did not stop what they had started themselves.
        endLeft(mark);
        console.log(reportOf([...results, interrupted(signal)]));
        process.exit(1);
      });
    });
  }

  if (needsFolder(options.phases)) {
    await (await stackModule()).removeLeftRuns(root);
    mkdirSync(folder, { recursive: true });
  }
  for (const name of options.phases) results.push(await runPhase(name, context));
  results.push(await runEnd(end, mark));
  console.log(reportOf(results.filter(isWorthALine)));
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

async function runPhase(name: PhaseName, context: PhaseContext): Promise<PhaseResult> {
  console.log(`\n── ${name} ${'─'.repeat(60 - name.length)}`);
  const began = performance.now();
  const outcome = await phases[name](context).catch((error: unknown) => ({
    passed: 0,
    skipped: 0,
    failures: [{ title: 'the phase could not run', message: textOf(error) }],
  }));
  return { name, ...outcome, ms: performance.now() - began };
}

/** Stops everything, and counts as a failure what lives on. */
async function runEnd(end: () => Promise<void>, mark: string): Promise<PhaseResult> {
  const began = performance.now();
  const failures: PhaseResult['failures'] = [];
  await end().catch((error: unknown) => failures.push({ title: 'stopping', message: textOf(error) }));
  for (const { pid, command } of endLeft(mark)) {
    failures.push({ title: 'a process was left running', message: `${pid} ${command}` });
  }
  return { name: 'left over', passed: 0, skipped: 0, failures, ms: performance.now() - began };
}

const phasesWithStacks: readonly PhaseName[] = [
  'integration',
  'e2e',
  'security',
  'browser',
  'faults',
  'nightly',
];

function needsFolder(names: readonly PhaseName[]): boolean {
  return names.some((name) => phasesWithStacks.includes(name));
}

function isWorthALine({ name, failures }: PhaseResult): boolean {
  return name !== 'left over' || failures.length > 0;
}

function interrupted(signal: string): PhaseResult {
  return { name: 'run', passed: 0, skipped: 0, failures: [{ title: 'interrupted', message: signal }], ms: 0 };
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function once(fn: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => {
    result ??= fn();
    return result;
  };
}

try {
  process.exitCode = await main(parseTestArguments(process.argv.slice(2)));
} catch (error) {
  console.error(textOf(error));
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
}
