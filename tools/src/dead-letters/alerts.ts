/** ragline dead-letters alerts, acknowledge, silence. */
import type { Command } from 'commander';
import { duration, print } from '../parts/output.ts';
import { isJson, type Json } from '../seed/rest.ts';
import { type LoginOptions, withLogin } from './client.ts';
import { agoOf } from './letter-text.ts';
import { clientFrom } from './letters.ts';

const path = '/v1/dead-letters/alerts';
type Options = LoginOptions & { json?: boolean };

export function registerAlerts(parent: Command): void {
  withLogin(parent.command('alerts'))
    .description(
      'Shows alerts that are raised, and the last that were cleared; --rules: what they are raised by.',
    )
    .option('--rules', 'the rules instead')
    .option('--json', 'print JSON')
    .action(async (options: Options & { rules?: boolean }) => {
      const { rules, alerts } = await (await clientFrom(options)).get(path);
      if (options.rules) print(listOf(rules), options.json === true, ruleRow);
      else if (listOf(alerts).length === 0 && options.json !== true) process.stdout.write('No alerts.\n');
      else print(listOf(alerts), options.json === true, alertRow);
    });

  withLogin(parent.command('acknowledge <alert>'))
    .description('Says that somebody looks at an alert.')
    .option('--json', 'print JSON')
    .action(async (id: string, options: Options) => {
      const client = await clientFrom(options);
      print(
        [await client.post(`${path}/${encodeURIComponent(id)}/acknowledge`)],
        options.json === true,
        alertRow,
      );
    });

  withLogin(parent.command('silence <alert>'))
    .description('No message about an alert for a while, not even when it is raised anew.')
    .option('--hours <number>', 'for how long; 0 ends the silence', '8')
    .option('--json', 'print JSON')
    .action(async (id: string, options: Options & { hours: string }) => {
      const hours = Number(options.hours);
      if (!(hours >= 0)) throw new Error('--hours is a number');
      const until = hours === 0 ? null : new Date(Date.now() + hours * 3_600_000).toISOString();
      const client = await clientFrom(options);
      print(
        [await client.post(`${path}/${encodeURIComponent(id)}/silence`, { until })],
        options.json === true,
        alertRow,
      );
    });
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : []);
const groupText = (group: unknown) => (group === null ? 'all together' : group === '*' ? 'each' : group);
const amount = (kind: unknown, value: unknown) => {
  if (kind === 'oldest_age') return duration(Math.round(Number(value)) * 1_000);
  return kind === 'failure_rate' ? `${Number(Number(value).toFixed(1))}/min` : value;
};

function alertRow(alert: Json): Json {
  const { id, kind, group, state, value, threshold, raised_at, acknowledged_at, silenced_until } = alert;
  return {
    id,
    state,
    kind,
    group: groupText(group),
    value: amount(kind, value),
    'raised at': amount(kind, threshold),
    since: agoOf(raised_at),
    acknowledged: acknowledged_at === null ? 'no' : agoOf(acknowledged_at),
    'silent until': silenced_until,
  };
}

function ruleRow({ kind, group, raise_at, clear_below, raise_after_s, clear_after_s }: Json): Json {
  return {
    kind,
    group: groupText(group),
    'raised at': amount(kind, raise_at),
    'for at least': duration(Number(raise_after_s) * 1_000),
    'cleared below': amount(kind, clear_below),
    'and for': duration(Number(clear_after_s) * 1_000),
  };
}
