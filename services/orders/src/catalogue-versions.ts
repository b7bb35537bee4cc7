/**
 * Which state of a tenant's catalogue may be served now. docs/decisions/0060 has the reasons and the failures.
 *
 * Postgres counts the changes. With Redis the count is also kept there, so that a read need not ask Postgres:
 *   a number          the present version, good for `leaseMs` after somebody read it in Postgres
 *   x<id>             a change is about to commit: ask Postgres
 *   nothing           ask Postgres, and write down what it said
 */
import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { SharedCache } from './shared-cache.ts';

export type CatalogueVersions = {
  /** The version as of the call: a change acknowledged before it is in it. */
  current(tenantId: string): Promise<number>;
  /** To be called in the transaction of a change, after everything else in it. */
  announce(tenantId: string): Promise<Announcement>;
};

/**
 * Called once the transaction has committed. When it has failed, or nobody knows, nothing is called: the mark stays
 * until it ends by itself, and until then readers ask Postgres, which knows.
 */
export type Announcement = { committed(version: number): Promise<void> };

const leaseMs = 2_000;
/** Longer than any transaction of ours: the mark of a process that died after its commit must outlive the commit. */
const markMs = 15_000;
/** A version read longer ago than this is not written down any more: a change may have come and gone since. */
const freshMs = 500;

const nothingToDo: Announcement = { committed: async () => {} };

/** Without Redis: every read asks Postgres, which is one lookup by primary key. */
export function databaseVersions(pool: Pool): CatalogueVersions {
  return {
    async current(tenantId) {
      const { rows } = await pool.query<{ version: number | null }>({
        name: 'catalogue_version',
        text: 'SELECT orders.catalogue_version($1) AS version',
        values: [tenantId],
      });
      return rows[0]?.version ?? 0;
    },
    announce: async () => nothingToDo,
  };
}

export function sharedVersions(
  database: CatalogueVersions,
  shared: SharedCache,
  log: Logger,
): CatalogueVersions {
  const keyOf = (tenantId: string) => `ragline:catalogue:${tenantId}`;

  return {
    async current(tenantId) {
      const known = await shared.get(keyOf(tenantId));
      if (known.state === 'found' && /^\d+$/.test(known.value)) return Number(known.value);
      // Not shared with other readers: one who came after a change must not get what was read before it.
      const startedAt = performance.now();
      const version = await database.current(tenantId);
      if (known.state === 'absent' && performance.now() - startedAt < freshMs) {
        await shared.add(keyOf(tenantId), String(version), leaseMs);
      }
      return version;
    },

    async announce(tenantId) {
      const key = keyOf(tenantId);
      const mark = `x${randomUUID()}`;
      // Before the commit: from here on nobody takes the old version for the present one.
      const isMarked = await shared.put(key, mark, markMs);
      if (!isMarked) log.warn('catalogue change not announced', { stale_at_most_ms: leaseMs });
      return {
        async committed(version) {
          await shared.raise(key, mark, version, leaseMs);
        },
      };
    },
  };
}
