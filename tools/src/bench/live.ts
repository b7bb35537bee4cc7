/** bench live: the notifications service's own measurement of its sockets, which lies beside what it measures. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readSettings } from '../parts/settings.ts';

const script = join(import.meta.dirname, '../../../services/notifications/bench/live.ts');
const names = [
  'KAFKA_BROKERS',
  'KAFKA_USERNAME',
  'KAFKA_PASSWORD',
  'KAFKA_SASL_MECHANISM',
  'SCHEMA_REGISTRY_URL',
];

export function register(bench: Command): void {
  bench
    .command('live')
    .description(
      'Deliveries to many sockets of one process beside bare ws and Socket.IO, and a storm of resumes.',
    )
    .option('--seconds <count>', 'length of a measurement')
    .option('--rounds <count>', 'rounds; the figures are their medians')
    .option('--only <part>', 'sockets or resume')
    .action(async (options: Record<string, string>) => {
      const settings = await readSettings();
      const known = names.map((name) => [name, settings.find(name) ?? '']);
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
      const env = { ...process.env, ...Object.fromEntries(known) };
      const child = spawn(process.execPath, [script, ...args], { env, stdio: 'inherit' });
      const [code] = await once(child, 'exit');
      if (code !== 0) throw new Error(`bench live ended with ${String(code)}`);
    });
}
