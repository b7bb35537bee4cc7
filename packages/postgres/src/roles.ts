/** The roles that RAGline's parts log in as. They belong to the cluster, so they are made before any migration. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';

/** Each is plain: it owns nothing, and row-level security binds it. Rights come from migrations. */
export const roles = {
  ragline_identity: 'LOGIN',
  ragline_orders: 'LOGIN',
  ragline_notifications: 'LOGIN',
  ragline_dead_letters: 'LOGIN',
  ragline_chat: 'LOGIN',
  /** Debezium: reads the write-ahead log. */
  ragline_cdc: 'LOGIN REPLICATION',
  /** The schema registry's storage, in a database of its own. */
  ragline_registry: 'LOGIN',
} as const;

export type RoleName = keyof typeof roles;

export type EnsureRolesOptions = {
  /** An administrator's connection string: one that may create roles. */
  databaseUrl: string;
  passwords: Record<RoleName, string>;
};

/** Makes the roles that are missing, and gives all of them the rights of a plain role and their passwords. */
export async function ensureRoles({ databaseUrl, passwords }: EnsureRolesOptions): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    // Two starts at once would both find a role missing.
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('ragline.roles', 0))");
    const { rows } = await client.query<{ rolname: string }>('SELECT rolname FROM pg_roles');
    const present = new Set(rows.map((row) => row.rolname));
    for (const [name, attributes] of Object.entries(roles)) {
      const verb = present.has(name) ? 'ALTER' : 'CREATE';
      const password = passwords[roleName(name)];
      const options = `${attributes} NOCREATEDB NOCREATEROLE`;
      const secret = client.escapeLiteral(scramVerifier(password));
      await client.query(`${verb} ROLE ${client.escapeIdentifier(name)} ${options} PASSWORD ${secret}`);
    }
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

/** Makes the database, owned by the role, unless it is there. */
export async function ensureDatabase(options: {
  databaseUrl: string;
  name: string;
  owner: RoleName;
}): Promise<void> {
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [options.name]);
    if (rowCount) return;
    const [name, owner] = [options.name, options.owner].map((word) => client.escapeIdentifier(word));
    await client.query(`CREATE DATABASE ${name} OWNER ${owner}`);
  } finally {
    await client.end();
  }
}

/**
 * What Postgres stores for a password (RFC 5803), made here so that the password itself is in no statement,
 * and so in no log and no pg_stat_statements.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16), iterations = 4096): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`;
}

function roleName(name: string): RoleName {
  if (Object.hasOwn(roles, name)) return name as RoleName;
  throw new TypeError(`Not a role of RAGline: ${name}`);
}
