/** ragline dead-letters: what consumer groups gave up on, and what to do about it; over REST, as an operator. */
import type { Command } from 'commander';
import { registerAlerts } from './dead-letters/alerts.ts';
import { registerBatch } from './dead-letters/batch.ts';
import { registerLetters } from './dead-letters/letters.ts';
import { registerParked } from './dead-letters/parked.ts';

export function register(program: Command): void {
  const parent = program
    .command('dead-letters')
    .description(
      'What consumer groups gave up on: read, mend, replay, discard. See docs/operations/dead-letters.md.',
    );
  registerLetters(parent);
  registerBatch(parent);
  registerParked(parent);
  registerAlerts(parent);
}
