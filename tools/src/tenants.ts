/** ragline tenants: all that a tenant has, as files, and whether they are whole. */
import { resolve } from 'node:path';
import { createCodec } from '@ragline/schemas/codec';
import type { Command } from 'commander';
import pg from 'pg';
import { print, size } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';
import { checkExport } from './tenants/check.ts';
import { exportTenant } from './tenants/export.ts';

export function register(program: Command): void {
  const parent = program
    .command('tenants')
    .description('What belongs to a tenant, as files. See docs/operations/tenant-exported.md.');
  parent
    .command('export <slug>')
    .description(
      'Writes all that a tenant has into a new folder: NDJSON by entity, and a manifest with counts and hashes.\n' +
        'One snapshot of the database; without hashes of passwords and other secrets.',
    )
    .requiredOption('--to <folder>', 'a folder that is not there, or empty')
    .option('--json', 'print the manifest')
    .action(write);
  parent
    .command('check <folder>')
    .description('Reads an export again and compares it with its manifest.')
    .option('--json', 'print the files as JSON')
    .action(async (folder: string, { json }: { json?: boolean }) =>
      print(await checkExport(folder), json === true),
    );
}

async function write(slug: string, { to, json }: { to: string; json?: boolean }): Promise<void> {
  const settings = await readSettings();
  const db = new pg.Client({
    connectionString: settings.get('DATABASE_URL'),
    application_name: 'ragline-export',
  });
  // A connection that breaks between two statements: the next one fails, and what was written is removed.
  db.on('error', () => {});
  await db.connect();
  try {
    const manifest = await exportTenant({
      db,
      slug,
      codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
      folder: resolve(to),
      say: (what) => process.stderr.write(`${what} …\n`),
    });
    if (json === true) return void process.stdout.write(`${JSON.stringify(manifest, null, 2)}\n`);
    print(
      manifest.files.map(({ name, rows, bytes }) => ({ file: name, rows, size: size(bytes) })),
      false,
    );
  } finally {
    await db.end();
  }
}
