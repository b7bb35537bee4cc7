/** bench dead-letters: what putting records aside costs, how late the tiers are, how fast letters are read and sent back. */
import type { Command } from 'commander';
import { readSettings, type Settings } from '../parts/settings.ts';
import { measureLateness } from './dead-letters/lateness.ts';
import { measurePages } from './dead-letters/pages.ts';
import { measureReplay } from './dead-letters/replay.ts';
import { measureStatements } from './dead-letters/statements.ts';
import { measureThroughput } from './dead-letters/throughput.ts';

export type Options = {
  records: string;
  rounds: string;
  letters: string;
  replayed: string;
  groups: string;
  statements: string;
  only?: string;
};

const parts: Record<string, (settings: Settings, options: Options) => Promise<void>> = {
  throughput: (settings, { records, rounds }) =>
    measureThroughput(settings, { records: Number(records), rounds: Number(rounds) }),
  statements: (settings, { statements }) => measureStatements(settings, Number(statements)),
  lateness: (settings) => measureLateness(settings),
  pages: (settings, { letters }) => measurePages(settings, Number(letters)),
  replay: (settings, { replayed, groups }) => measureReplay(settings, Number(replayed), groups),
};

export function register(bench: Command): void {
  bench
    .command('dead-letters')
    .description(
      'A consumer with failing keys beside plain kafkajs, statements, lateness of tiers, pages of a million letters, replay.',
    )
    .option('--records <count>', 'records a round of the throughput', '12000')
    .option('--rounds <count>', 'rounds of the throughput, of which the first warms up', '4')
    .option('--letters <count>', 'letters in the table whose pages are read', '1000000')
    .option('--replayed <count>', 'letters that are replayed', '10000')
    .option('--groups <kind>', 'whose letters are replayed: all, many, single, unordered', 'all')
    .option('--statements <count>', 'records whose statements are counted', '100000')
    .option('--only <part>', `one of ${Object.keys(parts).join(', ')}`)
    .action(async (options: Options) => {
      const { only } = options;
      if (only !== undefined && parts[only] === undefined) throw new Error(`There is no part ${only}`);
      const settings = await readSettings();
      for (const [name, measure] of Object.entries(parts)) {
        if (only === undefined || only === name) await measure(settings, options);
      }
    });
}
