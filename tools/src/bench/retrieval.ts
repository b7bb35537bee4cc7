/** bench retrieval: how long a search takes by stage, how many of the true nearest it finds, and how often it is short. */
import type { Command } from 'commander';
import { readSettings } from '../parts/settings.ts';
import { measureRetrieval } from './retrieval/measure.ts';

export type Options = { sizes: string; queries: string; index: string; breadth: string; exactMax: string };

export function register(bench: Command): void {
  bench
    .command('retrieval')
    .description(
      'Searches over 1,000 to 100,000 chunks of 50 tenants, of which one has half: latency, recall@10, short results.',
    )
    .option('--sizes <counts>', 'chunks, comma separated', '1000,10000,100000')
    .option('--queries <count>', 'queries of each kind', '300')
    .option('--index <kind>', 'hnsw or ivfflat', 'hnsw')
    .option('--breadth <count>', 'how widely the index is searched', '100')
    .option('--exact-max <chunks>', 'up to so many chunks a search is exact', '5000')
    .action(async (options: Options) => measureRetrieval(await readSettings(), options));
}
