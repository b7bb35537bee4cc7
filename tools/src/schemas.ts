/** ragline schemas: the types that are made from them, and what the registry has. */
import { readFile, writeFile } from 'node:fs/promises';
import { generatedUrl, generateTypes } from '@ragline/schemas/generate';
import { checkSchemas, listSubjects, registerSchemas } from '@ragline/schemas/register';
import type { Command } from 'commander';
import { print } from './parts/output.ts';
import { exportRegistry, importRegistry } from './parts/registry-copy.ts';
import { readSettings } from './parts/settings.ts';

type Options = { json?: boolean; check?: boolean };

export function register(program: Command): void {
  const schemas = program.command('schemas').description('Avro schemas: generated types and the registry.');

  schemas
    .command('generate')
    .description('Writes schemas/src/types.generated.ts from schemas/avro/*.avsc.')
    .option('--check', 'write nothing; fail when the file is not current')
    .action(async ({ check }: Options) => {
      const text = await generateTypes();
      if (!check) return writeFile(generatedUrl, text);
      if ((await readFile(generatedUrl, 'utf8')) === text) return;
      throw new Error('schemas/src/types.generated.ts is not current: run "ragline schemas generate"');
    });

  schemas
    .command('check')
    .description('Compares the schemas with every registered version; registers nothing.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const checks = await checkSchemas({ registryUrl: await registryUrl() });
      print(checks, json === true);
      const broken = checks.filter(({ state }) => state === 'incompatible').map(({ subject }) => subject);
      if (broken.length > 0) throw new Error(`Not compatible with what is registered: ${broken.join(', ')}`);
    });

  schemas
    .command('register')
    .description('Registers the schemas and sets the compatibility of their subjects; safe to repeat.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      print(await registerSchemas({ registryUrl: await registryUrl() }), json === true);
    });

  schemas
    .command('export <file>')
    .description('Keeps a copy of all that the registry holds, ids included, for "schemas import".')
    .action(async (file: string) => {
      await writeFile(file, await exportRegistry(await registryUrl()), { mode: 0o600 });
    });

  schemas
    .command('import <file>')
    .description('Gives an empty registry what "schemas export" has kept: each schema has its id again.')
    .action(async (file: string) => {
      const url = await registryUrl();
      const there = (await listSubjects({ registryUrl: url })).map(({ subject }) => subject);
      if (there.length > 0) throw new Error(`The registry is not empty, it has ${there.join(', ')}`);
      await importRegistry(url, await readFile(file));
    });

  schemas
    .command('list')
    .description('Shows the subjects of the registry.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      print(await listSubjects({ registryUrl: await registryUrl() }), json === true);
    });
}

async function registryUrl(): Promise<string> {
  return (await readSettings()).get('SCHEMA_REGISTRY_URL');
}
