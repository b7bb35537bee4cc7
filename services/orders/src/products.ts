/** Changes of the catalogue: a product, its event and the catalogue's version commit together. */
import { randomUUIDv7 } from 'node:crypto';
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { appendOutbox } from '@ragline/postgres/outbox';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Answer } from '@ragline/web/api';
import { idempotent } from '@ragline/web/idempotency';
import { problem } from '@ragline/web/problems';
import type { CatalogueCache } from './catalogue-cache.ts';
import type { Actor, Events } from './events.ts';
import { etagOf, requireVersion } from './if-match.ts';
import { findProduct, insertProduct, markDeleted, updateProduct } from './product-store.ts';
import type { CatalogueProduct } from './types.ts';

export type NewProduct = Omit<CatalogueProduct, 'id' | 'version' | 'created_at' | 'updated_at'>;
export type ProductChanges = { [K in keyof NewProduct]?: NewProduct[K] | undefined };
export type ProductWriting = ReturnType<typeof productWriting>;

export function productWriting(parts: {
  pool: Pool;
  cache: CatalogueCache;
  events: Events;
  idempotency: IdempotencyStore;
}) {
  const { pool, cache, events, idempotency } = parts;

  const append = (
    client: Client,
    type: 'product_changed' | 'product_deleted',
    it: CatalogueProduct,
    actor: Actor,
  ) => appendOutbox(client, 'orders', [events.productChanged(type, it, actor)]);

  return {
    /** Once per key, when there is one. */
    async create(actor: Actor, fields: NewProduct, once: { key: string | undefined; requestHash: string }) {
      return cache.change(actor.tenant_id, (seal) =>
        idempotent({ store: idempotency, principal: actor, ...once }, async (client) => {
          const at = new Date().toISOString();
          const product = { id: randomUUIDv7(), ...fields, version: 1, created_at: at, updated_at: at };
          await insertProduct(client, actor.tenant_id, product);
          await append(client, 'product_changed', product, actor);
          await seal(client);
          return createdAnswer(product);
        }),
      );
    },

    /** Throws Problem not_found or version_mismatch. What changes nothing is no change: no version, no event. */
    async change(
      actor: Actor,
      id: string,
      changes: ProductChanges,
      ifMatch?: string,
    ): Promise<CatalogueProduct> {
      return cache.change(actor.tenant_id, (seal) =>
        inTenant(pool, actor.tenant_id, async (client) => {
          const before = await lockedProduct(client, actor.tenant_id, id, ifMatch);
          const after = changed(before, changes);
          if (JSON.stringify(after) === JSON.stringify(before)) return before;
          const product = nextVersion(after);
          await updateProduct(client, actor.tenant_id, product);
          await append(client, 'product_changed', product, actor);
          await seal(client);
          return product;
        }),
      );
    },

    async remove(actor: Actor, id: string, ifMatch?: string): Promise<void> {
      await cache.change(actor.tenant_id, (seal) =>
        inTenant(pool, actor.tenant_id, async (client) => {
          const before = await lockedProduct(client, actor.tenant_id, id, ifMatch);
          const product = nextVersion(before);
          await markDeleted(client, actor.tenant_id, product);
          await append(client, 'product_deleted', product, actor);
          await seal(client);
        }),
      );
    },
  };
}

async function lockedProduct(client: Client, tenantId: string, id: string, ifMatch: string | undefined) {
  const found = await findProduct(client, tenantId, id, { lock: true });
  if (found === undefined) throw problem('not_found');
  requireVersion(ifMatch, found.version);
  return found;
}

/** Member by member, so that what is not given stays, and the members keep their order. */
function changed(before: CatalogueProduct, changes: ProductChanges): CatalogueProduct {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...before, ...Object.fromEntries(given) };
}

function nextVersion(product: CatalogueProduct): CatalogueProduct {
  // Never before the last change, even when the clock was set back.
  const updatedMs = Math.max(Date.now(), Date.parse(product.updated_at));
  return { ...product, version: product.version + 1, updated_at: new Date(updatedMs).toISOString() };
}

function createdAnswer(product: CatalogueProduct): Answer & { body: CatalogueProduct } {
  const headers = { location: `/v1/products/${product.id}`, etag: etagOf(product.version) };
  return { status: 201, headers, body: product };
}
