/** Nothing may answer without a password: everybody on a machine reaches its loopback addresses. */
import { kafkaClient } from '../../../infra/local/kafka.ts';
import { query } from '../../../infra/local/postgres.ts';
import { ping } from '../../../infra/local/valkey.ts';
import type { Settings } from '../parts/settings.ts';
import type { Check } from './check.ts';

export const doorsCheck: Check = {
  name: 'passwords',
  needs: ['postgres', 'kafka', 'registry', 'connect'],
  mend: 'set a password for the part, and give it in its URL',
  async run(settings) {
    const open: string[] = [];
    for (const [part, tryDoor] of Object.entries(doors))
      if (await isOpen(() => tryDoor(settings))) open.push(part);
    if (open.length > 0) return { state: 'warning', detail: `${open.join(', ')}: open without a password` };
    return { detail: `${Object.keys(doors).join(', ')} refuse whoever has none` };
  },
};

/** Each resolves when it got in. */
const doors: Record<string, (settings: Settings) => Promise<unknown>> = {
  postgres: (settings) => query(without(settings.get('DATABASE_URL')), 'select 1'),
  valkey: (settings) => ping(without(settings.get('REDIS_URL'))),
  registry: (settings) => answers(`${without(settings.get('SCHEMA_REGISTRY_URL'))}/subjects`),
  connect: (settings) => answers(without(settings.get('CONNECT_URL'))),
  kafka: async (settings) => {
    const admin = kafkaClient(settings.get('KAFKA_BROKERS')).admin();
    try {
      await admin.connect();
      await admin.listTopics();
    } finally {
      await admin.disconnect();
    }
  },
};

async function isOpen(tryDoor: () => Promise<unknown>): Promise<boolean> {
  try {
    await tryDoor();
    return true;
  } catch {
    return false;
  }
}

function without(address: string): string {
  const url = new URL(address);
  url.password = '';
  if (url.protocol.startsWith('http')) url.username = '';
  return url.href.replace(/\/$/, '');
}

async function answers(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(String(response.status));
}
