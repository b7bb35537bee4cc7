/**
 * ragline knowledge reindex: the index made again from the rows of products and documents, whatever Kafka still has.
 * It only asks: the chat service cuts and embeds, by its own settings and model.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type pg from 'pg';
import { withClient } from '../doctor/database.ts';
import { print } from '../parts/output.ts';
import { readSettings } from '../parts/settings.ts';

type Options = { tenant?: string; wait: boolean; json?: boolean };

export type Waiting = { waiting: number; failed: number };

const pageSize = 500;
// Snapshots of products are kept until they are worked off: no more of them than this.
const waitingMax = 5_000;
const lookEveryMs = 1_000;
// Longer than an instance may hold what it died over.
const stuckMs = 120_000;

export function registerReindex(parent: Command): void {
  parent
    .command('reindex')
    .description(
      'Cuts and embeds everything again: after a change of CHUNK_*_TOKENS, or when the index was lost. Searches go on meanwhile; passages that stay the same keep their vectors. Cut off, it is run again, from the beginning. Needs DATABASE_URL of the owner.',
    )
    .option('--tenant <slug>', 'of this tenant alone')
    .option('--no-wait', 'only ask for it; the chat service works it off')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const settings = await readSettings();
      await withClient(settings, async (client) => {
        const tenantId = options.tenant === undefined ? null : await tenantOf(client, options.tenant);
        const tell = (line: string) => void process.stderr.write(`${line}\n`);
        const asked = await askAgain(client, tenantId, tell);
        if (options.wait) {
          await untilLeft(client, tenantId, 0, ({ waiting }) =>
            tell(`${Math.max(0, asked - waiting)} of ${asked} are indexed again`),
          );
        }
        const { waiting, failed } = await waitingOf(client, tenantId);
        print([{ asked, waiting, failed }], options.json === true);
        if (options.wait && failed > 0)
          throw new Error(
            `${failed} could not be indexed: the log of chat says why ("could not be indexed again")`,
          );
      });
    });

  parent
    .command('build-index')
    .description(
      'Builds the index of vectors anew, beside the present one, without locking anybody out: IVFFlat is trained by the rows that are there. Needs DATABASE_URL of the owner.',
    )
    .option('--type <type>', 'hnsw or ivfflat, as RETRIEVAL_INDEX says', 'hnsw')
    .action(async ({ type }: { type: string }) => {
      if (type !== 'hnsw' && type !== 'ivfflat') throw new Error(`--type is hnsw or ivfflat, not ${type}`);
      await withClient(await readSettings(), async (client) => {
        for (const table of await buildIndexes(client, type))
          process.stdout.write(`${table}: ${type} is built\n`);
      });
    });
}

async function tenantOf(client: pg.Client, slug: string): Promise<string> {
  const { rows } = await client.query<{ id: string }>('SELECT id FROM identity.tenant WHERE slug = $1', [
    slug,
  ]);
  if (!rows[0]) throw new Error(`There is no tenant ${slug}: see GET /v1/tenants`);
  return rows[0].id;
}

/**
 * Asks for all sources of a tenant, or of all (null): products and documents that are there, deletions of those that
 * are not and can be found all the same. How many. Safe to call again: what was asked for and not done is asked for once.
 */
export async function askAgain(
  client: pg.Client,
  tenantId: string | null,
  tell: (line: string) => void = () => {},
): Promise<number> {
  let asked = 0;
  for (const select of [products, documents, strays]) {
    let after: [string, string] = [zero, zero];
    for (;;) {
      await untilLeft(client, null, waitingMax, ({ waiting }) => tell(`${waiting} wait to be worked off`));
      const { rows } = await client.query<{ tenant_id: string; id: string }>(
        `WITH page AS MATERIALIZED (${select} ORDER BY 1, 2 LIMIT ${pageSize})
         INSERT INTO chat.reindex_item AS r (tenant_id, id, version, product, is_deleted, changed_at)
         SELECT * FROM page
         ON CONFLICT (tenant_id, id) DO UPDATE SET version = excluded.version, product = excluded.product,
           is_deleted = excluded.is_deleted, changed_at = excluded.changed_at, attempts = 0, leased_until = '-infinity'
         RETURNING tenant_id, id`,
        [tenantId, ...after],
      );
      asked += rows.length;
      const last = rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).at(-1);
      if (last === undefined) break;
      after = [last.tenant_id, last.id];
      tell(`${asked} are to be indexed again`);
    }
  }
  return asked;
}

const zero = '00000000-0000-0000-0000-000000000000';
const keyOf = ({ tenant_id, id }: { tenant_id: string; id: string }) => `${tenant_id}/${id}`;

// A product that is deleted is asked for only where the index does not know it yet.
const products = `
  SELECT p.tenant_id, p.id, p.version::bigint,
         CASE WHEN p.deleted_at IS NULL THEN jsonb_build_object('name', p.name, 'description', p.description,
           'category', p.category, 'tags', p.tags, 'price', p.price, 'currency', p.currency, 'available', p.available,
           'attributes', p.attributes) END,
         p.deleted_at IS NOT NULL, coalesce(p.deleted_at, p.updated_at)
    FROM orders.product p
   WHERE ($1::uuid IS NULL OR p.tenant_id = $1) AND (p.tenant_id, p.id) > ($2::uuid, $3::uuid)
     AND (p.deleted_at IS NULL
          OR EXISTS (SELECT FROM chat.source s WHERE s.tenant_id = p.tenant_id AND s.id = p.id AND s.deleted_at IS NULL))`;

const documents = `
  SELECT d.tenant_id, d.id, d.version::bigint, NULL::jsonb, d.deleted_at IS NOT NULL, d.updated_at
    FROM chat.document d
   WHERE ($1::uuid IS NULL OR d.tenant_id = $1) AND (d.tenant_id, d.id) > ($2::uuid, $3::uuid)
     AND (d.deleted_at IS NULL
          OR EXISTS (SELECT FROM chat.source s WHERE s.tenant_id = d.tenant_id AND s.id = d.id AND s.deleted_at IS NULL))`;

// What is in the index and nowhere else: after Postgres was restored, or by a fault.
const strays = `
  SELECT s.tenant_id, s.id, s.version, NULL::jsonb, true, s.changed_at
    FROM chat.source s
   WHERE ($1::uuid IS NULL OR s.tenant_id = $1) AND (s.tenant_id, s.id) > ($2::uuid, $3::uuid) AND s.deleted_at IS NULL
     AND NOT EXISTS (SELECT FROM orders.product p WHERE p.tenant_id = s.tenant_id AND p.id = s.id)
     AND NOT EXISTS (SELECT FROM chat.document d WHERE d.tenant_id = s.tenant_id AND d.id = s.id)`;

export async function waitingOf(client: pg.Client, tenantId: string | null): Promise<Waiting> {
  const { rows } = await client.query<Waiting>(
    `SELECT count(*) FILTER (WHERE attempts < 5)::int AS waiting,
            count(*) FILTER (WHERE attempts >= 5 AND leased_until < clock_timestamp())::int AS failed
       FROM chat.reindex_item WHERE $1::uuid IS NULL OR tenant_id = $1`,
    [tenantId],
  );
  return rows[0] ?? { waiting: 0, failed: 0 };
}

/** Until no more than `most` wait. Throws Error when nothing is worked off for long. */
async function untilLeft(
  client: pg.Client,
  tenantId: string | null,
  most: number,
  tell: (now: Waiting) => void,
): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let since = Date.now();
  for (;;) {
    const now = await waitingOf(client, tenantId);
    if (now.waiting <= most) return;
    if (now.waiting < least) {
      least = now.waiting;
      since = Date.now();
      tell(now);
    }
    if (Date.now() - since > stuckMs) {
      throw new Error(
        `${now.waiting} wait, and nobody works them off: is the chat service running? (npx ragline doctor)`,
      );
    }
    await delay(lookEveryMs);
  }
}

/** Builds them one after the other, and drops the one before only then; the tables it did. */
export async function buildIndexes(client: pg.Client, type: 'hnsw' | 'ivfflat'): Promise<string[]> {
  await client.query('SET statement_timeout = 0');
  const { rows } = await client.query<{ table_name: string }>(
    "SELECT table_name FROM chat.embedding_model WHERE state <> 'retired' ORDER BY id",
  );
  const lists = type === 'ivfflat' ? ' WITH (lists = 100)' : '';
  for (const { table_name: table } of rows) {
    const named = (name: string) => `chat.${client.escapeIdentifier(name)}`;
    const [present, fresh] = [`${table}_${type}`, `${table}_${type}_new`];
    // Of a build that was cut off.
    await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${named(fresh)}`);
    await client.query(
      `CREATE INDEX CONCURRENTLY ${client.escapeIdentifier(fresh)} ON ${named(table)}
        USING ${type} (embedding halfvec_cosine_ops)${lists}`,
    );
    for (const old of ['hnsw', 'ivfflat']) {
      await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${named(`${table}_${old}`)}`);
    }
    await client.query(`ALTER INDEX ${named(fresh)} RENAME TO ${client.escapeIdentifier(present)}`);
  }
  return rows.map(({ table_name }) => table_name);
}
