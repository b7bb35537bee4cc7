/** What this service keeps, in the shape that its clients see. */
import type { OrderItem as EventItem, Order as EventOrder, Product } from '@ragline/schemas/types.generated';

/** A product as clients see it; its event names the tenant as well. */
export type CatalogueProduct = Omit<Product, 'tenant_id'>;
export type OrderStatus = EventOrder['status'];

/** A line as the customer sees it: with the notes that events never carry. */
export type OrderItem = EventItem & { notes: string | null };
export type Order = Omit<EventOrder, 'items'> & { items: OrderItem[]; notes: string | null };

/** What a price is decided from. `version` is checked again when the order is written. */
export type PricedProduct = Pick<Product, 'id' | 'name' | 'price' | 'currency' | 'available' | 'version'>;

/** Amounts are minor units of whatever currency the order has; times are RFC 3339, null without a bound. */
export type Promotion = {
  id: string;
  code: string;
  kind: 'percent' | 'amount';
  value: number;
  minimum: number;
  starts_at: string | null;
  ends_at: string | null;
  usage_limit: number | null;
  used: number;
  active: boolean;
};

/** A promotion with what only this service needs: `version` counts what staff changed in it. */
export type VersionedPromotion = Promotion & { version: number };

/** A promotion as customers may know it. */
export type RunningPromotion = Pick<Promotion, 'code' | 'kind' | 'value' | 'minimum' | 'ends_at'>;
