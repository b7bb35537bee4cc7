/** ragline env: every connection setting of the stack that runs out of this checkout. */
import type { Command } from 'commander';
import { readRunningEnv } from '../../infra/local/state.ts';

export function register(program: Command): void {
  program
    .command('env')
    .description(
      'Prints every connection setting of the running stack as KEY=value lines, passwords included.',
    )
    .option('--json', 'print one JSON object')
    .action(({ json }: { json?: boolean }) => {
      const env = readRunningEnv();
      if (!env) throw new Error('No stack runs out of this checkout, or it is not ready yet: npm start');
      process.stdout.write(json ? `${JSON.stringify(env, null, 2)}\n` : envLines(env));
    });
}

/** Lines that a shell's `set -a; . file` and a .env reader both take: our values have no quote and no line break. */
export function envLines(env: Record<string, string>): string {
  return Object.entries(env)
    .map(
      ([name, value]) =>
        `${name}=${/^[\w@%+=:,./-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`}\n`,
    )
    .join('');
}
