/** A migrated database beside the stack's, with a slot and the name of a connector of its own. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { migrate } from '@ragline/postgres/migrate';
import { createLogger } from '@ragline/runtime/logger';
import pg from 'pg';
import { connectClient } from '../../parts/connect.ts';
import type { Settings } from '../../parts/settings.ts';
import type { ConnectorOptions } from '../../streams/rebuild/connector.ts';

export type OwnOutbox = Awaited<ReturnType<typeof openOutbox>>;

const log = createLogger({ service: 'bench', level: 'error' });
const slotFreeWithinMs = 30_000;

/** Its tables are empty; nothing runs yet. The connector may be made under this name, and goes with the rest. */
export async function openOutbox(settings: Settings) {
  const name = `bench_${randomBytes(6).toString('hex')}`;
  const stackUrl = settings.get('DATABASE_URL');
  const connectUrl = settings.get('CONNECT_URL');
  const connector: ConnectorOptions = {
    connectUrl,
    cdcUrl: inDatabase(settings.get('DATABASE_URL_RAGLINE_CDC'), name),
    name,
    changes: {
      'topic.prefix': name,
      'slot.name': name,
      'table.include.list': 'orders.outbox',
      'predicates.event.pattern': `${name}\\..*`,
      // Its topic would be one more.
      'heartbeat.interval.ms': '0',
    },
  };
  const url = inDatabase(stackUrl, name);
  await asOwner(stackUrl, (owner) => owner.query(`CREATE DATABASE ${name}`));
  try {
    await migrate({ databaseUrl: url, log });
    await asOwner(url, (own) =>
      own.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]),
    );
  } catch (error) {
    await asOwner(stackUrl, (owner) => owner.query(`DROP DATABASE ${name} WITH (FORCE)`));
    throw error;
  }
  return {
    name,
    url,
    connector,
    async drop(): Promise<void> {
      // There is none where nothing was rebuilt.
      await connectClient(connectUrl)('DELETE', `/connectors/${name}`).catch(() => {});
      await asOwner(url, (own) => dropSlot(own, name));
      await asOwner(stackUrl, (owner) => owner.query(`DROP DATABASE ${name} WITH (FORCE)`));
    },
  };
}

/** Its reader lets it go a moment after the connector is gone. */
async function dropSlot(own: pg.Client, name: string): Promise<void> {
  const until = Date.now() + slotFreeWithinMs;
  for (;;) {
    try {
      const found = 'FROM pg_replication_slots WHERE slot_name = $1';
      await own.query(`SELECT pg_drop_replication_slot(slot_name) ${found}`, [name]);
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await pause(200);
    }
  }
}

async function asOwner(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function inDatabase(url: string, name: string): string {
  const its = new URL(url);
  its.pathname = `/${name}`;
  return its.href;
}
