/** What the stack itself says of a load: where reads of the catalogue were answered, and what its processes hold. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { round } from '../parts/numbers.ts';
import type { Settings } from '../parts/settings.ts';

const services = ['GATEWAY', 'IDENTITY', 'ORDERS', 'NOTIFICATIONS', 'DEAD_LETTERS', 'CHAT'];
const instancesMax = 9;
const cacheLine = /^ragline_cache_reads_total\{([^}]*)\} (\S+)$/gm;
const count = z.coerce.number();

export type CacheReads = { all: number; misses: number };
/** Resident MiB by process, as `orders 1`. */
export type Memory = Record<string, number>;

/** Reads of the catalogue through its cache since the instances of orders started. */
export async function readCacheReads(settings: Settings): Promise<CacheReads> {
  const reads = { all: 0, misses: 0 };
  for (const [, url] of named(settings, 'URL', ['ORDERS'])) {
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const [, labels = '', value] of text.matchAll(cacheLine)) {
      if (!labels.includes('cache="catalogue"')) continue;
      reads.all += count.parse(value);
      if (labels.includes('outcome="miss"')) reads.misses += count.parse(value);
    }
  }
  return reads;
}

/** From 0 to 1; undefined where nobody counted a read, or an instance that did started anew meanwhile. */
export function hitRateBetween(before: CacheReads, after: CacheReads): number | undefined {
  const all = after.all - before.all;
  const misses = after.misses - before.misses;
  return all > 0 && misses >= 0 ? 1 - misses / all : undefined;
}

/** Empty where there is no /proc (proc(5)). */
export function readMemory(settings: Settings): Memory {
  const found = named(settings, 'PID', services).flatMap(([name, pid]) => {
    const kib = residentKib(pid);
    return kib === undefined ? [] : [[name, round(kib / 1_024, 0)] as const];
  });
  return Object.fromEntries(found);
}

export function memoryBetween(before: Memory, after: Memory) {
  return Object.fromEntries(
    Object.entries(after).map(([name, mib]) => [name, { before: before[name] ?? 0, after: mib }]),
  );
}

function named(settings: Settings, prefix: string, of: readonly string[]): [string, string][] {
  return of.flatMap((service) =>
    Array.from({ length: instancesMax }, (_, i) => i + 1).flatMap((number): [string, string][] => {
      const value = settings.find(`${prefix}_${service}_${number}`);
      return value ? [[`${service.toLowerCase().replace('_', '-')} ${number}`, value]] : [];
    }),
  );
}

function residentKib(pid: string): number | undefined {
  try {
    const [, kib] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m) ?? [];
    return kib === undefined ? undefined : Number(kib);
  } catch {
    return undefined;
  }
}
