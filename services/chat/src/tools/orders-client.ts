/** The orders service over HTTP, as the customer: quotes, orders, and the promotions that run. */

export type Line = { product_id: string; quantity: number; notes?: string | null };
export type Basket = { items: Line[]; promo_code?: string | null };
export type QuoteItem = {
  product_id: string;
  name: string;
  quantity: number;
  unit_price: number;
  line_total: number;
  notes: string | null;
};
export type Refusal = { code: string; reason: string };
export type Quote = {
  quote_token: string;
  expires_at: string;
  items: QuoteItem[];
  currency: string;
  subtotal: number;
  discount: number;
  total: number;
  promo_code: string | null;
  refused: Refusal[];
};
export type Order = Omit<Quote, 'quote_token' | 'expires_at' | 'refused'> & { id: string; status: string };
export type Promotion = {
  code: string;
  kind: 'percent' | 'amount';
  value: number;
  minimum: number;
  ends_at: string | null;
};

/** For whom a call is made: a token of that user is asked for, with the roles of now. */
export type OnBehalfOf = { tenant_id: string; user_id: string; signal?: AbortSignal };

export type OrdersClient = {
  /** Throws OrdersError. */
  quote(who: OnBehalfOf, basket: Basket): Promise<Quote>;
  /** Places an order; `body` is sent as it is, so that a repetition of the key is the same request. */
  place(who: OnBehalfOf, body: string, idempotencyKey: string): Promise<Order>;
  /** The promotions that run now, for customers to see. */
  promotions(who: OnBehalfOf): Promise<Promotion[]>;
  stop(): void;
};
