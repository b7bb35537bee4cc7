/** ragline migrate: the database as the code expects it. */

import { migrate } from '@ragline/postgres/migrate';
import { ensureSlot, slotName } from '@ragline/postgres/slot';
import { createLogger } from '@ragline/runtime/logger';
import type { Command } from 'commander';
import { print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

export function register(program: Command): void {
  program
    .command('migrate')
    .description(
      'Applies the migrations that are missing and makes the replication slot (DATABASE_URL: an administrator).',
    )
    .option('--json', 'print what was applied as JSON')
    .option('--slot-even-if-behind', 'make a missing slot although the outboxes hold events')
    .action(async (options: { json?: boolean; slotEvenIfBehind?: boolean }) => {
      const settings = await readSettings();
      const databaseUrl = settings.get('DATABASE_URL');
      const log = createLogger({ service: 'ragline', level: 'error' });
      const applied = await migrate({ databaseUrl, log });
      const evenIfBehind = options.slotEvenIfBehind === true;
      const slot = await ensureSlot({ databaseUrl, evenIfBehind });
      print(
        [...applied.map((name) => ({ applied: name })), ...(slot ? [{ applied: `slot ${slotName}` }] : [])],
        options.json === true,
      );
    });
}
