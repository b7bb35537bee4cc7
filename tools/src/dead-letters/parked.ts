/** ragline dead-letters parked, release. */
import type { Command } from 'commander';
import { print } from '../parts/output.ts';
import { isJson, type Json, rowsOf } from '../seed/rest.ts';
import { type LoginOptions, queryOf, withLogin } from './client.ts';
import { agoOf } from './letter-text.ts';
import { clientFrom } from './letters.ts';

export function registerParked(parent: Command): void {
  withLogin(parent.command('parked'))
    .description('Shows keys whose records wait in order behind one that failed, and for what.')
    .option('--group <group>', 'of this consumer group')
    .option('--topic <topic>', 'of this topic')
    .option('--limit <number>', 'how many at most', '50')
    .option('--cursor <cursor>', 'go on where an earlier list ended')
    .option('--json', 'print JSON')
    .action(
      async (
        options: LoginOptions & {
          group?: string;
          topic?: string;
          limit: string;
          cursor?: string;
          json?: boolean;
        },
      ) => {
        const client = await clientFrom(options);
        const { group, topic, limit, cursor } = options;
        const page = await client.get(`/v1/parked-keys${queryOf({ group, topic, limit, cursor })}`);
        print(rowsOf(page), options.json === true, parkedRow);
        if (typeof page.next_cursor === 'string')
          process.stderr.write(`more: --cursor ${page.next_cursor}\n`);
      },
    );

  withLogin(parent.command('release <id>'))
    .description(
      'Gives up the place of the head of a line (id of "parked"); those behind it go on, in order.',
    )
    .option('--json', 'print JSON')
    .action(async (id: string, options: LoginOptions & { json?: boolean }) => {
      const client = await clientFrom(options);
      print([await client.post(`/v1/parked-keys/${encodeURIComponent(id)}/release`)], options.json === true);
    });
}

function parkedRow({ id, group, topic, partition, key, since, followers, head }: Json): Json {
  const { attempt, is_dead, not_before, dead_letter_id, error_code } = isJson(head) ? head : {};
  return {
    id,
    group,
    partition: `${topic}/${partition}`,
    key,
    since: agoOf(since),
    followers,
    'failed times': attempt,
    'waits for': is_dead === true ? 'somebody' : not_before,
    error: error_code,
    letter: dead_letter_id,
  };
}
