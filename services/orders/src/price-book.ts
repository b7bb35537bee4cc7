/**
 * Prices and promotions at hand, in this process, for the path on which every lookup would be a round trip.
 *
 * They may be out of date: whoever writes by them has their versions checked in SQL, and whoever refuses by them
 * reads them anew first.
 */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { findPriced } from './product-store.ts';
import { findPromotion } from './promotion-store.ts';
import type { PricedProduct, VersionedPromotion } from './types.ts';

export type PriceBook = ReturnType<typeof priceBook>;
export type Pages = { products: Map<string, PricedProduct>; promotions: Map<string, VersionedPromotion> };

const productsMax = 100_000;

export function priceBook(pool: Pool) {
  const tenants = new Map<string, Pages>();
  let size = 0;

  const pagesOf = (tenantId: string): Pages => {
    let pages = tenants.get(tenantId);
    if (pages === undefined) {
      pages = { products: new Map(), promotions: new Map() };
      tenants.set(tenantId, pages);
    }
    return pages;
  };

  /** Begins anew when full: what is in use comes back with one read, and nothing has to be kept in order. */
  const makeRoom = (wanted: number) => {
    if (size + wanted <= productsMax) return;
    for (const pages of tenants.values()) {
      pages.products.clear();
      pages.promotions.clear();
    }
    tenants.clear();
    size = 0;
  };

  return {
    /** What is known of the tenant without asking. */
    known: pagesOf,

    /** Reads these anew; what no longer exists is forgotten. */
    async refresh(tenantId: string, productIds: readonly string[], promoCode: string | null): Promise<Pages> {
      makeRoom(productIds.length + 1);
      const pages = pagesOf(tenantId);
      await inTenant(pool, tenantId, async (client) => {
        const found = await findPriced(client, tenantId, productIds);
        const before = pages.products.size + pages.promotions.size;
        const ids = new Set(found.map(({ id }) => id));
        for (const id of productIds) if (!ids.has(id)) pages.products.delete(id);
        for (const product of found) {
          // Two that read at once may come back in the other order.
          const known = pages.products.get(product.id);
          if (known === undefined || known.version <= product.version)
            pages.products.set(product.id, product);
        }
        if (promoCode !== null) {
          const promotion = await findPromotion(client, tenantId, promoCode);
          pages.promotions.delete(promoCode);
          if (promotion !== undefined) pages.promotions.set(promoCode, promotion);
        }
        size += pages.products.size + pages.promotions.size - before;
      });
      return pages;
    },
  };
}
