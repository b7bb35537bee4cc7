/** ragline seed: sample data for the sample tenants. */
import type { Command } from 'commander';
import { print } from './parts/output.ts';
import { seed } from './parts/seed-data.ts';
import { readSettings } from './parts/settings.ts';

export function register(program: Command): void {
  program
    .command('seed')
    .description(
      'Fills the sample tenants with products, promotions, documents and orders; a second run changes nothing.',
    )
    .option('--json', 'print what is there as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const settings = await readSettings();
      const result = await seed({
        url: settings.get('RAGLINE_URL'),
        demoPassword: settings.get('RAGLINE_DEMO_PASSWORD'),
        sentinelPassword: settings.find('SENTINEL_PASSWORD'),
      });
      print([result], json === true);
    });
}
