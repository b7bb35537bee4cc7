/** ragline knowledge models, reembed, switch, rollback, retire: for all tenants, as an operator. */
import type { Command } from 'commander';
import { createClient, type LoginOptions, withLogin } from '../dead-letters/client.ts';
import { print } from '../parts/output.ts';
import { readSettings } from '../parts/settings.ts';
import { type Json, rowsOf } from '../seed/rest.ts';

type Options = LoginOptions & { json?: boolean };

const path = '/v1/knowledge/models';
const lookEveryMs = 1_000;

export function registerModels(parent: Command): void {
  command(parent, 'models', 'Shows the embedding models, which is searched by, and how full each is.').action(
    async (options: Options) => {
      const client = createClient(await readSettings(), options);
      print(rowsOf(await client.get(path)), options.json === true);
    },
  );

  command(
    parent,
    'reembed <model>',
    'Embeds everything by another model (minilm_l6_v2, openai:<model>:<dimensions>), beside the present one, which is searched by until "switch".',
  )
    .option('--wait', 'until nothing is missing')
    .action(async (id: string, options: Options & { wait?: boolean }) => {
      const client = createClient(await readSettings(), options);
      let models = rowsOf(await client.post(path, { id }));
      while (options.wait === true && missingOf(models, id) > 0) {
        process.stderr.write(`${missingOf(models, id)} chunks are missing\n`);
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
        models = rowsOf(await client.get(path));
      }
      print(models, options.json === true);
    });

  command(parent, 'switch <model>', 'Searches by another model, which has to be full.')
    .option('--force', 'though it is not full')
    .action((id: string, options: Options & { force?: boolean }) =>
      change('switch', { id, force: options.force === true }, options),
    );

  command(parent, 'rollback', 'Searches by the model before; nothing was lost in the meantime.').action(
    (options: Options) => change('rollback', {}, options),
  );

  command(parent, 'retire <model>', 'Keeps a model no longer up to date.').action(
    (id: string, options: Options) => change('retire', { id }, options),
  );
}

function command(parent: Command, name: string, description: string): Command {
  return withLogin(parent.command(name)).description(description).option('--json', 'print JSON');
}

async function change(what: string, body: Json, options: Options): Promise<void> {
  const client = createClient(await readSettings(), options);
  print(rowsOf(await client.post(`${path}/${what}`, body)), options.json === true);
}

function missingOf(models: readonly Json[], id: string): number {
  return Number(models.find((it) => it.id === id)?.missing ?? 0);
}
