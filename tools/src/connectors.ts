/** ragline connectors: the reader of the outboxes. */
import { readSlot } from '@ragline/postgres/slot';
import type { Command } from 'commander';
import pg from 'pg';
import { applyConnector, connectorName, connectorStatus, restartConnector } from './parts/apply-connector.ts';
import { print } from './parts/output.ts';
import { readSettings } from './parts/settings.ts';

type Options = { json?: boolean; onlyFailed?: boolean };

export function register(program: Command): void {
  const connectors = program
    .command('connectors')
    .description('The Debezium connector that carries outbox rows to Kafka.');

  connectors
    .command('apply')
    .description('Brings the connector to connectors/outbox.json and waits until it runs; safe to repeat.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const connectUrl = settings.get('CONNECT_URL');
      print(
        [await applyConnector({ connectUrl, cdcUrl: settings.get('DATABASE_URL_RAGLINE_CDC') })],
        json === true,
      );
    });

  connectors
    .command('status')
    .description('Shows whether the connector runs; exit code 1 when it does not.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const { trace, ...status } = await connectorStatus({ connectUrl: await connectUrlSet() });
      print([json ? { ...status, trace } : status], json === true);
      if (status.state !== 'RUNNING') throw new Error(`${connectorName} is ${status.state}`);
    });

  connectors
    .command('lag')
    .description('Shows how much write-ahead log waits for the connector, and how much may.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Options) => {
      const settings = await readSettings();
      const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
      await client.connect();
      try {
        const slot = await readSlot(client);
        if (!slot)
          throw new Error(
            'There is no replication slot: run "ragline migrate", see docs/operations/connector.md',
          );
        print([slot], json === true);
      } finally {
        await client.end();
      }
    });

  connectors
    .command('restart')
    .description('Restarts the connector and its task. Nothing is lost or doubled by it.')
    .option('--only-failed', 'leave alone what runs')
    .action(async ({ onlyFailed }: Options) => {
      await restartConnector({ connectUrl: await connectUrlSet(), onlyFailed: onlyFailed === true });
    });
}

async function connectUrlSet(): Promise<string> {
  return (await readSettings()).get('CONNECT_URL');
}
