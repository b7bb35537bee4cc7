/** ragline streams: Kafka's topics and Postgres's outboxes, one made from the other. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Command } from 'commander';

/** Each folder streams/NAME with a command.ts that exports `register` is a command `streams NAME`. */
export async function register(program: Command): Promise<void> {
  const streams = program
    .command('streams')
    .description('Topics and outboxes: writes lost topics again from Postgres.');
  const folder = new URL('./streams/', import.meta.url);
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort(byName)) {
    const file = new URL(`${entry.name}/command.ts`, folder);
    if (!entry.isDirectory() || !existsSync(file)) continue;
    const module: { register?: (parent: Command) => void } = await import(file.href);
    module.register?.(streams);
  }
}

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
