/** ragline load NAME: a scenario of tests/load by k6 against the running stack; figures as a table and a picture. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { openStreams } from './load/event-streams.ts';
import { type Figures, readFigures } from './load/figures.ts';
import { missedGoals } from './load/goals.ts';
import { findK6 } from './load/k6.ts';
import { drawPicture } from './load/picture.ts';
import { hitRateBetween, memoryBetween, readCacheReads, readMemory } from './load/stack.ts';
import { asTable } from './load/table.ts';
import { prepareUsers } from './load/users.ts';
import { line, tell } from './parts/numbers.ts';
import { readSettings, type Settings } from './parts/settings.ts';

type Options = {
  users: number;
  tenant: string;
  seconds?: number;
  rate?: number;
  picture?: string;
  json?: boolean;
};

const scenarios = join(import.meta.dirname, '..', '..', 'tests', 'load');
const notScenarios = ['customer.ts'];
const streamsCount = 100;
// Its own word for thresholds that were crossed: https://grafana.com/docs/k6/latest/using-k6/thresholds/
const thresholdsCrossed = 99;

export async function register(program: Command): Promise<void> {
  const files = await readdir(scenarios);
  const names = files.filter((name) => name.endsWith('.ts') && !notScenarios.includes(name));
  program
    .command('load')
    .argument('<name>', names.map((name) => name.replace(/\.ts$/, '')).join(', '))
    .description(
      'Customers against the running stack, by k6, with the goals of the design. Exit code 1 when one is missed. See docs/benchmarks.md.',
    )
    .option('--users <count>', 'accounts that are made and used', count, 100)
    .option('--tenant <slug>', 'whose customers they are', 'acme')
    .option('--seconds <count>', 'length of each stage; the scenario’s own when not given', count)
    .option('--rate <count>', 'visits a second, where the scenario has a rate', count)
    .option('--picture <file>', 'where to draw the latencies over time, as SVG')
    .option('--json', 'a JSON line in place of the table')
    .action(async (name: string, options: Options) => {
      const script = join(scenarios, `${name}.ts`);
      if (!existsSync(script) || notScenarios.includes(`${name}.ts`)) {
        throw new Error(
          `There is no scenario ${name}: choose one of ${names.join(', ').replaceAll('.ts', '')}`,
        );
      }
      if (!(await runScenario(name, script, options))) process.exitCode = 1;
    });
}

/** Resolves with whether every goal was reached. */
async function runScenario(name: string, script: string, options: Options): Promise<boolean> {
  const settings = await readSettings();
  const k6 = await findK6();
  tell(`preparing ${options.users} accounts of ${options.tenant}`);
  await prepareUsers(settings, options.tenant, options.users);
  const folder = await mkdtemp(join(tmpdir(), 'ragline-load-'));
  const csv = join(folder, 'samples.csv');
  const streams = name === 'sse' ? await openStreams(settings, options.tenant, streamsCount) : undefined;
  try {
    const before = { cache: await readCacheReads(settings), memory: readMemory(settings) };
    const code = await runK6(k6, script, csv, settings, options);
    const seen = await streams?.settle();
    const after = { cache: await readCacheReads(settings), memory: readMemory(settings) };
    const figures: Figures = {
      ...(await readFigures(csv)),
      cacheHitRate: hitRateBetween(before.cache, after.cache),
      memory: memoryBetween(before.memory, after.memory),
      streams: seen,
    };
    if (options.picture !== undefined) await writeFile(options.picture, drawPicture(name, figures.series));
    const missed = missedGoals(code === 0, figures);
    if (options.json)
      line({ load: name, ...figures, series: undefined, goals_met: missed.length === 0, missed });
    else process.stdout.write(`${asTable(figures)}\n`);
    for (const goal of missed) tell(goal);
    return missed.length === 0;
  } finally {
    await streams?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function runK6(
  k6: string,
  script: string,
  csv: string,
  settings: Settings,
  { users, tenant, seconds, rate }: Options,
): Promise<number> {
  const child = spawn(k6, ['run', '--quiet', '--no-usage-report', '--out', `csv=${csv}`, script], {
    stdio: ['ignore', process.stderr, process.stderr],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      K6_CSV_TIME_FORMAT: 'unix_milli',
      RAGLINE_URL: settings.get('RAGLINE_URL'),
      RAGLINE_DEMO_PASSWORD: settings.get('RAGLINE_DEMO_PASSWORD'),
      LOAD_TENANT: tenant,
      LOAD_USERS: String(users),
      ...(seconds !== undefined && { LOAD_SECONDS: String(seconds) }),
      ...(rate !== undefined && { LOAD_RATE: String(rate) }),
    },
  });
  const [code] = await once(child, 'exit');
  if (code !== 0 && code !== thresholdsCrossed) throw new Error(`k6 ended with ${code}`);
  return Number(code);
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It is a whole number, 1 at least.');
}
