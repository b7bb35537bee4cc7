/** The phases of `npm test`, in the order in which they run: what is quick and tells most comes first. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedUrl, generateTypes } from '@ragline/schemas/generate';
import type { PhaseName, TestArguments } from './arguments.ts';
import { runCommand } from './child.ts';
import { ownEnvironment } from './environment.ts';
import type { FileKind } from './files.ts';
import type { MochaOutcome } from './mocha.ts';
import { planOf } from './plan.ts';
import type { StackName, TestStacks } from './stack.ts';
import { runMocha, sumOf } from './workers.ts';

export type PhaseContext = {
  root: string;
  /** Where tests put the data of stacks of their own. */
  folder: string;
  options: TestArguments;
  files: Record<FileKind, string[]>;
  stacks: () => Promise<TestStacks>;
};
export type Phase = (context: PhaseContext) => Promise<MochaOutcome>;

export const phases: Record<PhaseName, Phase> = {
  types: command('tsc', []),
  lint: command('biome', ['check', '--error-on-warnings', '.']),
  imports: command('depcruise', ['packages', 'services', 'schemas', 'connectors', 'infra', 'tools', 'tests']),
  generated: async () => {
    const isCurrent = (await readFile(generatedUrl, 'utf8')) === (await generateTypes());
    if (isCurrent) return passedOnce;
    return failedOnce('the generated types are current', 'Mend: npx ragline schemas generate');
  },
  unit: tests({ kind: 'unit', workers: 2, timeoutMs: 5_000, withinMs: 240_000 }),
  integration: tests({
    kind: 'integration',
    needs: 'parts',
    workers: 2,
    timeoutMs: 60_000,
    withinMs: 1_200_000,
  }),
  e2e: tests({ kind: 'e2e', needs: 'stack', timeoutMs: 60_000, withinMs: 600_000 }),
  browser: tests({ kind: 'browser', needs: 'stack', timeoutMs: 60_000, withinMs: 300_000 }),
  // Behind all who need the sample data: what it tries on the API changes them.
  security: tests({ kind: 'security', needs: 'stack', timeoutMs: 60_000, withinMs: 600_000 }),
  faults: tests({ kind: 'faults', needs: 'own', timeoutMs: 180_000, withinMs: 900_000 }),
  nightly: tests({ kind: 'nightly', needs: 'own', timeoutMs: 1_800_000, withinMs: 14_400_000 }),
};

const passedOnce: MochaOutcome = { passed: 1, skipped: 0, failures: [] };

function failedOnce(title: string, message: string): MochaOutcome {
  return { passed: 0, skipped: 0, failures: [{ title, message }] };
}

function command(name: string, args: readonly string[]): Phase {
  return async ({ root }) => {
    const path = join(root, 'node_modules', '.bin', name);
    const { code, output } = await runCommand(path, args, { cwd: root, withinMs: 180_000 });
    if (code === 0) return passedOnce;
    console.log(output);
    return failedOnce([name, ...args].join(' '), output);
  };
}

type TestsOptions = {
  kind: FileKind;
  /** `own`: the tests start stacks of their own, so the shared one makes room. */
  needs?: StackName | 'own';
  /** Processes that share the files; for those who wait more than they work. */
  workers?: number;
  timeoutMs: number;
  withinMs: number;
};

function tests({ kind, needs, workers = 1, timeoutMs, withinMs }: TestsOptions): Phase {
  return async ({ root, folder, options, files, stacks }) => {
    if (files[kind].length === 0) return { passed: 0, skipped: 0, failures: [] };
    const started = needs === undefined || options.running ? {} : await settingsFrom(await stacks(), needs);
    const { together, alone } = planOf(files[kind]);
    const run = {
      script: join(root, 'tools', 'src', 'test', 'mocha.ts'),
      root,
      grep: options.grep,
      timeoutMs,
      withinMs,
      color: process.stdout.isTTY,
      env: { ...(options.running ? process.env : ownEnvironment()), ...started, RAGLINE_TEST_DIR: folder },
    };
    const outcome = await runMocha({ ...run, files: together, workers: Math.min(workers, together.length) });
    return sumOf([outcome, await runMocha({ ...run, files: alone, workers: 1 })]);
  };
}

async function settingsFrom(stacks: TestStacks, needs: StackName | 'own'): Promise<Record<string, string>> {
  if (needs !== 'own') return stacks.envOf(needs);
  await stacks.stop();
  return {};
}
