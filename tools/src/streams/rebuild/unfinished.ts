/** A note in Postgres that a rebuild has begun to change topics, kept until the connector goes on behind it. */
import pg from 'pg';

type Db = Pick<pg.Client, 'query'>;

/** What a rebuild removes first, as the command's options; `''` where it removes nothing. */
export function optionsOf({
  recreate,
  isRestored,
}: {
  recreate: readonly string[];
  isRestored: boolean;
}): string {
  if (isRestored) return '--restored';
  return recreate.length > 0 ? `--recreate --topics ${recreate.toSorted().join(',')}` : '';
}

/** Throws an Error where another rebuild removed more than this one would: what it had removed would stay half made. */
export async function refuseLess(db: Db, options: string): Promise<void> {
  const unfinished = await unfinishedIn(db);
  if (unfinished === undefined || unfinished === '' || unfinished === options) return;
  throw new Error(
    `A rebuild was interrupted, and has to be gone on with first: npx ragline streams rebuild ${unfinished} --yes`,
  );
}

export async function noteBegun(db: Db, options: string): Promise<void> {
  if (!(await isKept(db))) return;
  await db.query(
    `INSERT INTO streams.unfinished_rebuild AS u (options) VALUES ($1)
     ON CONFLICT (only_one) DO UPDATE SET options = excluded.options`,
    [options],
  );
}

export async function noteEnded(db: Db): Promise<void> {
  if (await isKept(db)) await db.query('DELETE FROM streams.unfinished_rebuild');
}

/** The options of a rebuild that did not come to its end, `''` when it removed nothing; undefined when there is none. */
export async function unfinishedRebuild(databaseUrl: string): Promise<string | undefined> {
  const db = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-rebuild' });
  await db.connect();
  try {
    return await unfinishedIn(db);
  } finally {
    await db.end();
  }
}

async function unfinishedIn(db: Db): Promise<string | undefined> {
  if (!(await isKept(db))) return undefined;
  const { rows } = await db.query<{ options: string }>('SELECT options FROM streams.unfinished_rebuild');
  return rows[0]?.options;
}

/** A restored database may be older than the table. */
async function isKept(db: Db): Promise<boolean> {
  const { rows } = await db.query<{ kept: boolean }>(
    `SELECT to_regclass('streams.unfinished_rebuild') IS NOT NULL AS kept`,
  );
  return rows[0]?.kept === true;
}
