/** ragline sessions: who is signed in. */
import type { Command } from 'commander';
import pg from 'pg';
import { print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

export function register(program: Command): void {
  const sessions = program.command('sessions').description('Sign-ins of users, of all tenants.');
  sessions
    .command('end')
    .description(
      `Ends all sessions: everybody has to sign in again. Access tokens that are out are good until they end, unless
"ragline keys rotate --revoke-now" takes them back. See docs/operations/postgres-restored.md.`,
    )
    .requiredOption('--everybody', 'yes, those of all users')
    .option('--json', 'print the outcome as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const settings = await readSettings();
      const db = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
      await db.connect();
      try {
        const { rowCount } = await db.query(
          `UPDATE identity.session SET revoked_at = clock_timestamp(), revoked_reason = 'ended_by_operator'
            WHERE revoked_at IS NULL`,
        );
        print([{ ended: rowCount }], json === true);
      } finally {
        await db.end();
      }
    });
}
