/** Brings a database up to date with migrations/*.sql: forward only, in the order of their names, each in a transaction. */
import { readdir, readFile } from 'node:fs/promises';
import type { Logger } from '@ragline/runtime/logger';
import knex, { type Knex } from 'knex';
import pg from 'pg';

export type MigrateOptions = {
  /** The connection string of who shall own the tables: an administrator, never a service's role. */
  databaseUrl: string;
  log: Logger;
};

const migrationsUrl = new URL('../../../migrations/', import.meta.url);

/**
 * Applies what has not been applied; the names of those. Several at once take turns, and one that was killed
 * leaves nothing behind that would stop the next.
 */
export async function migrate({ databaseUrl, log }: MigrateOptions): Promise<string[]> {
  const guard = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-migrate' });
  await guard.connect();
  const db = knex({ client: 'pg', connection: databaseUrl, pool: { min: 0, max: 2 } });
  try {
    await guard.query("SELECT pg_advisory_lock(hashtextextended('ragline.migrate', 0))");
    const config: Knex.MigratorConfig = { tableName: 'ragline_migration', migrationSource: sqlFiles };
    // knex's own lock is a row that a killed migration leaves behind. We hold the real one, which ends with its connection.
    await db.migrate.forceFreeMigrationsLock(config);
    const [, applied]: [number, string[]] = await db.migrate.latest(config);
    for (const migration of applied) log.info('migration applied', { migration });
    return applied;
  } finally {
    await db.destroy();
    await guard.end();
  }
}

/** The names of all migrations, in order. */
export async function listMigrations(): Promise<string[]> {
  const files = await readdir(migrationsUrl);
  return files.filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file)).sort();
}

const sqlFiles: Knex.MigrationSource<string> = {
  getMigrations: listMigrations,
  getMigrationName: (file) => file.replace(/\.sql$/, ''),
  async getMigration(file) {
    const sql = await readFile(new URL(file, migrationsUrl), 'utf8');
    return {
      async up(trx) {
        // A bare question mark would be a binding to knex.
        await trx.raw(sql.replaceAll('?', '\\?'));
      },
      async down() {
        throw new Error('Migrations go forward only: write another one');
      },
    };
  },
};
