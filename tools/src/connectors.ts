/** ragline connectors: the reader of the outboxes. */
import { readSlot, type SlotState } from '@ragline/postgres/slot';
import type { Command } from 'commander';
import pg from 'pg';
import {
  applyConnector,
  connectorName,
  connectorStatus,
  pauseConnector,
  restartConnector,
} from './parts/apply-connector.ts';
import { duration, print, size } from './parts/output.ts';
import { readSettings, type Settings } from './parts/settings.ts';
import { tellLost } from './streams/rebuild/lost.ts';
import { lostAt } from './streams/rebuild/lost-at.ts';

type Options = { json?: boolean; onlyFailed?: boolean };

export function register(program: Command): void {
  const connectors = program
    .command('connectors')
    .description('The Debezium connector that carries outbox rows to Kafka.');

  connectors
    .command('apply')
    .description(
      `Brings the connector to connectors/outbox.json and waits until it runs; safe to repeat. Refuses where topics have
lost what the outboxes hold (where DATABASE_URL is known): new events would come before the old ones.`,
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const connectUrl = settings.get('CONNECT_URL');
      await refuseWhenLost(settings);
      print(
        [await applyConnector({ connectUrl, cdcUrl: settings.get('DATABASE_URL_RAGLINE_CDC') })],
        json === true,
      );
    });

  connectors
    .command('status')
    .description(
      'Shows whether the connector runs, and how far it is behind; exit code 1 when it does not run.',
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const status = await connectorStatus({ connectUrl: settings.get('CONNECT_URL') });
      const slot = await slotIfKnown(settings);
      print([{ ...status, slot }], json === true, ({ name, state, tasks, error }) => ({
        name,
        state,
        tasks: tasks.map((task) => task.state),
        ...(slot ? lagOf(slot) : { lag: null }),
        error,
      }));
      if (status.state !== 'RUNNING') throw new Error(`${connectorName} is ${status.state}`);
    });

  connectors
    .command('lag')
    .description('Shows how much write-ahead log waits for the connector, and how much may.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const slot = await slotAt(settings.get('DATABASE_URL'));
      if (!slot) {
        throw new Error(
          'There is no replication slot: run "ragline migrate", see docs/operations/connector.md',
        );
      }
      print([slot], json === true, ({ slot_name, active, wal_status }) => ({
        slot: slot_name,
        'is read': active ? 'yes' : 'no',
        ...lagOf(slot),
        'write-ahead log': wal_status,
      }));
    });

  connectors
    .command('resume')
    .description('Lets a paused or stopped connector read on, from where it was; refuses where `apply` does.')
    .action(async () => {
      await refuseWhenLost(await readSettings());
      await pauseConnector({ connectUrl: await connectUrlSet(), paused: false });
    });

  connectors
    .command('restart')
    .description('Restarts the connector and its task. Nothing is lost or doubled by it.')
    .option('--only-failed', 'leave alone what runs')
    .action(async ({ onlyFailed }: Options) => {
      await restartConnector({ connectUrl: await connectUrlSet(), onlyFailed: onlyFailed === true });
    });
}

async function refuseWhenLost(settings: Settings): Promise<void> {
  const lost = await lostAt(settings);
  if (lost !== undefined) throw new Error(tellLost(lost));
}

async function slotAt(databaseUrl: string): Promise<SlotState | undefined> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await readSlot(client);
  } finally {
    await client.end();
  }
}

/** Null where Postgres is not known, or away: whether the connector runs can be told without it. */
async function slotIfKnown(settings: Settings): Promise<SlotState | null> {
  const databaseUrl = settings.find('DATABASE_URL');
  if (!databaseUrl) return null;
  return (await slotAt(databaseUrl).catch(() => undefined)) ?? null;
}

const lagOf = ({ lag_bytes, lag_ms, cap_bytes }: SlotState) => ({
  lag: size(lag_bytes),
  'of at most': cap_bytes === null ? 'no limit' : size(cap_bytes),
  'behind by': lag_ms === null ? null : duration(Math.round(lag_ms)),
});

async function connectUrlSet(): Promise<string> {
  return (await readSettings()).get('CONNECT_URL');
}
