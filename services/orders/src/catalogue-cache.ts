/**
 * Answers about the catalogue, kept as JSON text under the version that they belong to: in the process, and in Redis
 * when there is one. A change raises the version, so nothing is ever invalidated by hand.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@ragline/postgres/pool';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Announcement, CatalogueVersions } from './catalogue-versions.ts';
import { countChange } from './product-store.ts';
import type { SharedCache } from './shared-cache.ts';

export type CatalogueCache = ReturnType<typeof catalogueCache>;

const keptMs = 60_000;
const lockedMs = 2_000;
/** How long to wait for what another instance is reading, before reading it here as well. */
const waitMs = 300;
const sharedLengthMax = 256 * 1024;
const localEntriesMax = 5_000;
const localLengthMax = 32 * 1024 * 1024;

export function catalogueCache(options: {
  versions: CatalogueVersions;
  shared: SharedCache | undefined;
  metrics: Metrics;
}) {
  const { versions, shared, metrics } = options;
  const local = recentTexts();
  const underWay = new Map<string, Promise<string>>();
  const reads = metrics.counter(
    'ragline_cache_reads_total',
    'Reads through a cache by where the answer came from: process, redis, or miss.',
    ['cache', 'outcome'],
  );
  const count = (outcome: 'process' | 'redis' | 'miss') => reads.inc({ cache: 'catalogue', outcome });

  const sharedText = async (key: string): Promise<string | undefined> => {
    const found = await shared?.get(key);
    return found?.state === 'found' ? found.value : undefined;
  };

  const fetch = async (key: string, load: () => Promise<string>): Promise<string> => {
    let text = await sharedText(key);
    const lock = `${key}:lock`;
    const isOurs = text === undefined && shared !== undefined && (await shared.add(lock, '1', lockedMs));
    if (text === undefined && shared !== undefined && !isOurs) text = await awaitText(shared, key, lock);
    if (text !== undefined) {
      count('redis');
      local.set(key, text);
      return text;
    }
    count('miss');
    try {
      text = await load();
      local.set(key, text);
      if (text.length <= sharedLengthMax) await shared?.put(key, text, keptMs);
      return text;
    } finally {
      if (isOurs) await shared?.release(lock, '1');
    }
  };

  return {
    /**
     * The text under `name`, from `load` when no cache has it for the tenant's present version.
     *
     * `load` runs once however many ask at the same time: per process always, across instances while Redis answers
     * and it takes less than `waitMs`. Errors of `load` pass through and are not kept.
     */
    async read(tenantId: string, name: string, load: () => Promise<string>): Promise<string> {
      // The version first: what is loaded after it is at least as new.
      const version = await versions.current(tenantId);
      const key = `ragline:catalogue:${tenantId}:${version}:${name}`;
      const kept = local.get(key);
      if (kept !== undefined) {
        count('process');
        return kept;
      }
      const same = underWay.get(key);
      if (same !== undefined) {
        count('process');
        return same;
      }
      const reading = fetch(key, load).finally(() => underWay.delete(key));
      underWay.set(key, reading);
      return reading;
    },

    /**
     * Runs a transaction that changes the catalogue, which calls `seal` as its last statement. When it returns, no
     * instance serves the former state any more.
     */
    async change<T>(
      tenantId: string,
      transaction: (seal: (client: Client) => Promise<void>) => Promise<T>,
    ): Promise<T> {
      let sealed: { version: number; announcement: Announcement } | undefined;
      const result = await transaction(async (client) => {
        // Locks the tenant's count until the commit, so marks and versions of two changes cannot cross.
        const version = await countChange(client, tenantId);
        sealed = { version, announcement: await versions.announce(tenantId) };
      });
      await sealed?.announcement.committed(sealed.version);
      return result;
    },
  };
}

/** What the holder of the lock puts there; undefined when it takes too long, or gave up. */
async function awaitText(shared: SharedCache, key: string, lock: string): Promise<string | undefined> {
  for (let waited = 0; waited < waitMs; waited += 25) {
    await delay(25);
    const found = await shared.get(key);
    if (found.state === 'found') return found.value;
    if (found.state === 'away' || (await shared.get(lock)).state !== 'found') return undefined;
  }
  return undefined;
}

/** The texts used last, up to a number and a length in all. */
function recentTexts() {
  const texts = new Map<string, string>();
  let length = 0;
  const drop = (key: string) => {
    length -= texts.get(key)?.length ?? 0;
    texts.delete(key);
  };
  return {
    get(key: string): string | undefined {
      const text = texts.get(key);
      if (text === undefined) return undefined;
      texts.delete(key);
      texts.set(key, text);
      return text;
    },
    set(key: string, text: string): void {
      drop(key);
      texts.set(key, text);
      length += text.length;
      for (const oldest of texts.keys()) {
        if (texts.size <= localEntriesMax && length <= localLengthMax) break;
        drop(oldest);
      }
    },
  };
}
