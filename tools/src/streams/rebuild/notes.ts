/** Notes in Postgres: a rebuild has begun to change topics, until the connector goes on behind it; and what it looked at. */
import pg from 'pg';

type Db = Pick<pg.Client, 'query'>;

export type Notes = {
  /** The command's options of a rebuild that did not come to its end, `''` for none of them; undefined when all did. */
  unfinished: string | undefined;
  /** What is older may be missing on purpose; undefined: nothing may. */
  completeFrom: Date | undefined;
};

export type Asked = {
  /** Names of topics that are made anew first. */
  recreate: readonly string[];
  isRestored: boolean;
  since: Date | undefined;
  evenIfLate: boolean;
};

/** As a person would type them. */
export function optionsOf({ recreate, isRestored, since, evenIfLate }: Asked): string {
  const made = recreate.length > 0 ? [`--recreate --topics ${recreate.toSorted().join(',')}`] : [];
  const removed = isRestored ? ['--restored'] : made;
  const seen = since === undefined ? [] : [`--since ${since.toISOString()}`];
  return [...removed, ...seen, ...(evenIfLate ? ['--even-if-late'] : [])].join(' ');
}

/** Throws an Error where another rebuild removed what this one would not: that would stay half made. */
export async function refuseLess(db: Db, options: string): Promise<void> {
  const { unfinished = '' } = await notesIn(db);
  const removed = /^--(restored|recreate --topics \S+)/.exec(unfinished)?.[0];
  if (removed === undefined || options.startsWith(removed) || options.startsWith('--restored')) return;
  throw new Error(
    `A rebuild was interrupted, and has to be gone on with first: npx ragline streams rebuild ${unfinished} --yes`,
  );
}

export async function noteBegun(db: Db, options: string | undefined): Promise<void> {
  if (!(await isKept(db))) return;
  await db.query(
    `INSERT INTO streams.rebuild (unfinished) VALUES ($1)
     ON CONFLICT (only_one) DO UPDATE SET unfinished = excluded.unfinished`,
    [options ?? null],
  );
}

/** @param completeFrom from when on it looked; undefined: at all that topics keep */
export async function noteEnded(db: Db, completeFrom: Date | undefined): Promise<void> {
  if (!(await isKept(db))) return;
  await db.query('UPDATE streams.rebuild SET unfinished = NULL, complete_from = $1', [completeFrom ?? null]);
}

export async function readNotes(databaseUrl: string): Promise<Notes> {
  const db = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-rebuild' });
  db.on('error', () => {});
  await db.connect();
  try {
    return await notesIn(db);
  } finally {
    await db.end();
  }
}

export async function notesIn(db: Db): Promise<Notes> {
  if (!(await isKept(db))) return { unfinished: undefined, completeFrom: undefined };
  const { rows } = await db.query<{ unfinished: string | null; complete_from: Date | null }>(
    'SELECT unfinished, complete_from FROM streams.rebuild',
  );
  const [row] = rows;
  return { unfinished: row?.unfinished ?? undefined, completeFrom: row?.complete_from ?? undefined };
}

/** A restored database may be older than the table. */
async function isKept(db: Db): Promise<boolean> {
  const { rows } = await db.query<{ kept: boolean }>(
    `SELECT to_regclass('streams.rebuild') IS NOT NULL AS kept`,
  );
  return rows[0]?.kept === true;
}
