/** All that a tenant has, as files: one snapshot of the database, row by row, in flat memory. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Codec, CodecError } from '@ragline/schemas/codec';
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

/** Rows of most entities have a few hundred bytes, an order of 200 items some hundred KiB. */
const rowsAtOnce = 200;

/**
 * Writes a folder of NDJSON files and manifest.json. It is made beside its place and moved there when whole, so a folder
 * that is there is complete. Throws an Error when the tenant is not there, when the folder is and has something in it, and
 * when the registry cannot say how an event is read.
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
  const partial = await makePartial(folder);
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
    await moveTo(folder, partial);
    return manifest;
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {});
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function refuseUsed(folder: string): Promise<void> {
  const there = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
  if (there.length > 0) throw new Error(`${folder} is not empty: name a new folder`);
}

/** Always of the same name: what an export left that was killed is found, and not forgotten with all that is in it. */
async function makePartial(folder: string): Promise<string> {
  const partial = join(dirname(folder), `.${basename(folder)}.partial`);
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(partial, { mode: 0o700 }).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new Error(
      `${partial} is there: an export is writing it, or was killed before it was whole: remove it`,
    );
  });
  return partial;
}

/** Takes the place of an empty folder, and of no other: somebody may have used it meanwhile. */
async function moveTo(folder: string, partial: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOTEMPTY')) throw new Error(`${folder} is not empty any more: name a new folder`);
    if (!hasCode(error, 'ENOENT')) throw error;
  });
  await rename(partial, folder);
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

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
      const line = Buffer.from(`${entity.events === undefined ? row : await withEvents(codec, row)}\n`);
      hash.update(line);
      rows += 1;
      bytes += line.length;
      yield line;
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(join(folder, name), { mode: 0o600 }));
  return { name, rows, bytes, sha256: hash.digest('hex') };
}

/** As Postgres writes them, a line each: read here, the longest numbers would be rounded. */
async function* rowsOf(
  db: pg.Client,
  { sql, atOnce = rowsAtOnce }: Entity,
  tenantId: string,
): AsyncGenerator<string> {
  // A cursor takes no parameter in every client; the id is a uuid of the database's own.
  const rowsSql = `SELECT q."row"::text AS row FROM (${sql}) q`.replaceAll('$1', `'${tenantId}'::uuid`);
  await db.query(`DECLARE export NO SCROLL CURSOR FOR ${rowsSql}`);
  for (;;) {
    const { rows } = await db.query<{ row: string }>(`FETCH ${atOnce} FROM export`);
    for (const { row } of rows) yield row;
    if (rows.length < atOnce) break;
  }
  await db.query('CLOSE export');
}

/** An order with its events as their consumers read them; one that nobody can read stays bytes. */
async function withEvents(codec: Pick<Codec, 'decode'>, row: string): Promise<string> {
  const whole: Record<string, unknown> = JSON.parse(row);
  const history: unknown[] = [];
  for (const bytes of Array.isArray(whole.history) ? whole.history : []) {
    const payload = Buffer.from(String(bytes), 'base64');
    history.push(
      await codec.decode(payload).then(
        ({ value }) => value,
        (error: unknown) => {
          if (error instanceof CodecError) return { raw: payload.toString('base64') };
          // A registry that is away says nothing of the event, and all of the history would be bytes.
          throw error;
        },
      ),
    );
  }
  return JSON.stringify({ ...whole, history });
}
