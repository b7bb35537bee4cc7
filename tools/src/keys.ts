/** ragline keys: what signs access tokens, and how to be rid of a key that may be in wrong hands. */
import type { Command } from 'commander';
import pg from 'pg';
import { print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

/** How long a token outlives its withdrawn key: until identity has read the keys again, and every service the key set. */
const refusedWithinS = 60;

export function register(program: Command): void {
  const parent = program
    .command('keys')
    .description('Keys that sign access tokens. See docs/operations/key-compromised.md.');
  parent
    .command('list')
    .description('Shows the keys: which signs, and which is published to be the next.')
    .option('--json', 'print them as JSON')
    .action(({ json }: { json?: boolean }) => withDatabase((db) => list(db, json === true)));
  parent
    .command('rotate')
    .description(
      'Lets the published next key sign from now on. Nobody is signed out: tokens of the last are good until they end.',
    )
    .option(
      '--revoke-now',
      `take the keys before it back: their tokens are refused within ${refusedWithinS} s, sockets are cut, sessions refresh`,
    )
    .option('--json', 'print the outcome as JSON')
    .action((options: { revokeNow?: boolean; json?: boolean }) => withDatabase((db) => rotate(db, options)));
  parent
    .command('forget')
    .description(
      'Removes all keys, for when KEY_ENCRYPTION_SECRET itself is out: stop identity before, start it with another secret after.',
    )
    .requiredOption('--yes', 'nobody can sign in until identity has made new ones')
    .action(() => withDatabase(async (db) => print([{ forgotten: await forgetKeys(db) }], false)));
}

async function withDatabase(work: (db: pg.Client) => Promise<void>): Promise<void> {
  const settings = await readSettings();
  const db = new pg.Client({
    connectionString: settings.get('DATABASE_URL'),
    application_name: 'ragline-keys',
  });
  // A connection that breaks: the statement fails, and that is who says so.
  db.on('error', () => {});
  await db.connect();
  try {
    await work(db);
  } finally {
    await db.end();
  }
}

async function list(db: pg.Client, json: boolean): Promise<void> {
  const { rows } = await db.query<{ kid: string; state: string; signs_from: Date; created_at: Date }>(
    `SELECT kid, CASE WHEN signs_from > clock_timestamp() THEN 'next'
                      WHEN signs_from = max(signs_from) FILTER (WHERE signs_from <= clock_timestamp()) OVER () THEN 'signs'
                      ELSE 'verifies' END AS state, signs_from, created_at
       FROM identity.signing_key ORDER BY signs_from, kid`,
  );
  print(
    rows.map((row) => ({
      ...row,
      signs_from: row.signs_from.toISOString(),
      created_at: row.created_at.toISOString(),
    })),
    json,
  );
}

async function rotate(db: pg.Client, options: { revokeNow?: boolean; json?: boolean }): Promise<void> {
  const withdraw = options.revokeNow === true;
  const { rows } = await db.query<{ kid: string | null }>('SELECT identity.rotate_signing_key($1) AS kid', [
    withdraw,
  ]);
  const kid = rows[0]?.kid;
  if (!kid) {
    throw new Error(
      'There is no next key yet: identity makes one within SIGNING_KEY_REFRESH_MS (30 s) when it runs',
    );
  }
  const refused_by = withdraw ? new Date(Date.now() + refusedWithinS * 1_000).toISOString() : null;
  print([{ signs: kid, revoked: withdraw, refused_by }], options.json === true);
}

/**
 * Removes all keys; how many. Throws an Error while identity is connected: it would make new ones at once, sealed with the
 * secret that is to be given up.
 */
export async function forgetKeys(db: Pick<pg.Client, 'query'>): Promise<number> {
  const { rows } = await db.query<{ connections: number }>(
    `SELECT count(*)::int AS connections FROM pg_stat_activity
      WHERE datname = current_database() AND usename = 'ragline_identity'`,
  );
  const connections = rows[0]?.connections ?? 0;
  if (connections > 0) {
    throw new Error(
      `Identity is running (connections of ragline_identity: ${connections}): stop all of its instances first`,
    );
  }
  const { rowCount } = await db.query('DELETE FROM identity.signing_key');
  return rowCount ?? 0;
}
