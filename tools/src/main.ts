/**
 * The `ragline` command. Each file beside this one that exports `register` is a command named like the file,
 * and only the one that is asked for is loaded.
 */
import { readdir } from 'node:fs/promises';
import { Command } from 'commander';
import { explain } from './parts/explain.ts';

const program = new Command('ragline')
  .description('Runs, inspects and mends a RAGline installation.')
  .showHelpAfterError('(--help says more)');

try {
  const commands = await listCommands();
  const wanted = commands.find((name) => name === process.argv[2]);
  for (const name of wanted ? [wanted] : commands) await load(name);
  await program.parseAsync();
} catch (error) {
  // Exit codes are for scripts: whatever was not done is not 0.
  process.exitCode = 1;
  process.stderr.write(`${explain(error)}\n`);
}

async function listCommands(): Promise<string[]> {
  const files = await readdir(import.meta.dirname);
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'main.ts')
    .map((file) => file.replace(/\.ts$/, ''))
    .sort();
}

async function load(name: string): Promise<void> {
  const module: { register?: (program: Command) => void | Promise<void> } = await import(`./${name}.ts`);
  await module.register?.(program);
}
