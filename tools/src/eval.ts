/** ragline eval: each file in eval/ judges answers against ones that are known; figures go to stdout, a JSON line each. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';

export async function register(program: Command): Promise<void> {
  const evaluation = program
    .command('eval')
    .description(
      'Judges what is found and answered, by sets of questions. Prints a JSON line for each figure.',
    );
  const files = await readdir(join(import.meta.dirname, 'eval'));
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).sort()) {
    const module: { register?: (evaluation: Command) => void } = await import(`./eval/${file}`);
    module.register?.(evaluation);
  }
}
