/** The command line of the runner. */
import { parseArgs } from 'node:util';

export const phaseNames = [
  'types',
  'lint',
  'imports',
  'generated',
  'unit',
  'integration',
  'e2e',
  'browser',
  'security',
  'faults',
  'nightly',
] as const;
export type PhaseName = (typeof phaseNames)[number];

export type TestArguments = {
  phases: PhaseName[];
  grep: string | undefined;
  /** Parts of paths: only test files that contain one of them. */
  files: string[];
  /** Use the parts or the stack that the environment names, and start none. */
  running: boolean;
};

export const usage = `npm test -- [--only PHASE,…] [--grep TEXT] [--running] [FILE…]

  --only     ${phaseNames.join(', ')}; all but nightly when not given
  --grep     only tests whose name contains TEXT
  --running  use the parts that the environment names (npx ragline env), start none
  FILE       only test files whose path contains this`;

/** Throws an Error whose message shows the usage. */
export function parseTestArguments(args: readonly string[]): TestArguments {
  const { values, positionals } = parsed(args);
  const names = values.only?.flatMap((list) => list.split(',')).filter((name) => name !== '');
  const unknown = names?.find((name) => !isPhaseName(name));
  if (unknown !== undefined) throw new Error(`There is no phase ${unknown}.\n\n${usage}`);
  const chosen = phaseNames.filter((name) => (names ? names.includes(name) : name !== 'nightly'));
  return { phases: chosen, grep: values.grep, files: positionals, running: values.running ?? false };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: 'string', multiple: true },
        grep: { type: 'string' },
        running: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  }
}

function isPhaseName(name: string): name is PhaseName {
  return phaseNames.some((phase) => phase === name);
}
