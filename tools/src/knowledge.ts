/** ragline knowledge: what the assistant knows, and which model it is found by; over REST. */
import type { Command } from 'commander';
import { registerDocuments } from './knowledge/documents.ts';
import { registerModels } from './knowledge/models.ts';
import { registerReindex } from './knowledge/reindex.ts';

export function register(program: Command): void {
  const parent = program
    .command('knowledge')
    .description('What the assistant knows: documents, how much of them can be found, and by which model.');
  registerDocuments(parent);
  registerModels(parent);
  registerReindex(parent);
}
