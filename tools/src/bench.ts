/** ragline bench: each file in bench/ is a measurement; figures go to stdout, one JSON line each, news to stderr. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';

export async function register(program: Command): Promise<void> {
  const bench = program
    .command('bench')
    .description(
      'Measures, beside peers in the same run. Prints a JSON line for each figure. See docs/benchmarks.md.',
    );
  const files = await readdir(join(import.meta.dirname, 'bench'));
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).sort()) {
    const module: { register?: (bench: Command) => void } = await import(`./bench/${file}`);
    module.register?.(bench);
  }
}
