/** All that a tenant has, as files: one snapshot of the database, row by row, in flat memory. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Codec } from '@ragline/schemas/codec';
import type pg from 'pg';
import { type Entity, entities } from './entities.ts';

export type Manifest = {
  format: 'ragline-tenant-export';
  version: 1;
  tenant: { id: string; slug: string; name: string };
  /** When the snapshot was taken: everything committed before is in it, and nothing after. */
  snapshot_at: string;
  files: { name: string; rows: number; bytes: number; sha256: string }[];
};

const rowsAtOnce = 500;

/**
 * Writes a folder of NDJSON files and manifest.json. It is made beside its place and moved there when whole, so a folder
 * that is there is complete. Throws an Error when the tenant is not there, or the folder is and has something in it.
 */
export async function exportTenant(parts: {
  db: pg.Client;
  codec: Pick<Codec, 'decode'>;
  slug: string;
  folder: string;
  say(what: string): void;
}): Promise<Manifest> {
  const { db, slug, folder } = parts;
  await refuseUsed(folder);
  const partial = join(dirname(folder), `.${basename(folder)}.${process.pid}.partial`);
  await mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await db.query("SET LOCAL timezone = 'UTC'");
    const { rows } = await db.query<{ id: string; name: string; at: Date }>(
      'SELECT id, name, clock_timestamp() AS at FROM identity.tenant WHERE slug = $1',
      [slug],
    );
    const [tenant] = rows;
    if (tenant === undefined) throw new Error(`There is no tenant ${slug}`);
    const files: Manifest['files'] = [];
    for (const entity of entities) {
      parts.say(entity.name);
      files.push(await writeEntity(parts, entity, tenant.id, partial));
    }
    await db.query('COMMIT');
    const manifest: Manifest = {
      format: 'ragline-tenant-export',
      version: 1,
      tenant: { id: tenant.id, slug, name: tenant.name },
      snapshot_at: tenant.at.toISOString(),
      files,
    };
    await writeFile(join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, {
      mode: 0o600,
    });
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    return manifest;
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {});
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function refuseUsed(folder: string): Promise<void> {
  const there = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  if (there.length > 0) throw new Error(`${folder} is not empty: name a new folder`);
}

async function writeEntity(
  { db, codec }: { db: pg.Client; codec: Pick<Codec, 'decode'> },
  entity: Entity,
  tenantId: string,
  folder: string,
): Promise<Manifest['files'][number]> {
  const name = `${entity.name}.ndjson`;
  const hash = createHash('sha256');
  let rows = 0;
  let bytes = 0;
  async function* lines(): AsyncGenerator<Buffer> {
    for await (const row of rowsOf(db, entity, tenantId)) {
      const whole =
        entity.events === undefined ? row : { ...row, history: await decoded(codec, row.history) };
      const line = Buffer.from(`${JSON.stringify(whole)}\n`);
      hash.update(line);
      rows += 1;
      bytes += line.length;
      yield line;
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(join(folder, name), { mode: 0o600 }));
  return { name, rows, bytes, sha256: hash.digest('hex') };
}

type Row = Record<string, unknown>;

async function* rowsOf(db: pg.Client, { sql }: Entity, tenantId: string): AsyncGenerator<Row> {
  // A cursor takes no parameter in every client; the id is a uuid of the database's own.
  await db.query(`DECLARE export NO SCROLL CURSOR FOR ${sql}`.replaceAll('$1', `'${tenantId}'::uuid`));
  for (;;) {
    const { rows } = await db.query<{ row: Row }>(`FETCH ${rowsAtOnce} FROM export`);
    for (const { row } of rows) yield row;
    if (rows.length < rowsAtOnce) break;
  }
  await db.query('CLOSE export');
}

/** Events as their consumers read them; one whose schema the registry does not have stays bytes. */
async function decoded(codec: Pick<Codec, 'decode'>, history: unknown): Promise<unknown[]> {
  const events: unknown[] = [];
  for (const bytes of Array.isArray(history) ? history : []) {
    const payload = Buffer.from(String(bytes), 'base64');
    events.push(
      await codec.decode(payload).then(
        ({ value }) => value,
        () => ({ raw: payload.toString('base64') }),
      ),
    );
  }
  return events;
}
