/** ragline demo: something to watch. */
import type { Command } from 'commander';
import { type LoginOptions, withLogin } from './dead-letters/client.ts';
import { clientFrom } from './dead-letters/letters.ts';
import { demoPoison, type PoisonOptions } from './demo/run-poison.ts';
import { readSettings } from './parts/settings.ts';

type Options = LoginOptions & { watch: string; outage: string; json?: boolean };

export function register(program: Command): void {
  const demo = program.command('demo').description('Something to watch on a stack for development.');

  withLogin(demo.command('poison'))
    .description(
      'Sends records that fail, each in another way, to orders.v1 of the sample tenant, and tells what comes of them.',
    )
    .option('--watch <seconds>', 'how long to look on; 0: not at all', '60')
    .option('--outage <seconds>', 'how long the dependency of one record is away', '20')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const given: PoisonOptions = {
        watchMs: 1_000 * secondsOf(options.watch, '--watch'),
        outageS: secondsOf(options.outage, '--outage'),
        json: options.json === true,
      };
      await demoPoison(await readSettings(), await clientFrom(options), given);
    });
}

function secondsOf(text: string, name: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new Error(`${name} is a number of seconds`);
}
