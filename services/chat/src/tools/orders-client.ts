/** The orders service over HTTP, in the customer's name: quotes, orders, and the promotions that run. */
import { type BreakerState, createBreaker } from '@ragline/runtime/breaker';
import type { Metrics } from '@ragline/runtime/metrics';
import { currentTraceparent, withSpan } from '@ragline/runtime/tracing';
import { z } from 'zod';
import type { DelegatedTokens } from './delegated-tokens.ts';
import { OrdersError } from './orders-error.ts';

export type Line = { product_id: string; quantity: number; notes?: string | null };
export type Basket = { items: Line[]; promo_code?: string | null };

const item = z.object({
  product_id: z.string(),
  name: z.string(),
  quantity: z.number(),
  unit_price: z.number(),
  line_total: z.number(),
  notes: z.string().nullable(),
});
const price = {
  items: z.array(item),
  currency: z.string(),
  subtotal: z.number(),
  discount: z.number(),
  total: z.number(),
  promo_code: z.string().nullable(),
};
const refusal = z.object({ code: z.string(), reason: z.string() });
export const quoteShape = z.object({
  quote_token: z.string(),
  expires_at: z.string(),
  ...price,
  refused: z.array(refusal),
});
const orderShape = z.object({ id: z.string(), status: z.string(), ...price });
const promotionShape = z.object({
  code: z.string(),
  kind: z.enum(['percent', 'amount']),
  value: z.number(),
  minimum: z.number(),
  ends_at: z.string().nullable(),
});
const promotionsShape = z.object({ data: z.array(promotionShape) });
const problemShape = z.looseObject({ code: z.string(), detail: z.string().optional(), title: z.string() });

export type Quote = z.infer<typeof quoteShape>;
export type Refusal = z.infer<typeof refusal>;
export type Order = z.infer<typeof orderShape>;
export type Promotion = z.infer<typeof promotionShape>;

/** For whom a call is made: a token of that user is asked for. */
export type OnBehalfOf = { tenant_id: string; user_id: string; signal?: AbortSignal };

/** Each function throws OrdersError; the signal's reason when it was aborted before an answer came. */
export type OrdersClient = {
  quote(who: OnBehalfOf, basket: Basket): Promise<Quote>;
  /**
   * Places an order. `body` is sent as it is, so that a repetition of the key is the same request to the byte; the
   * token is a new one, with the roles of now.
   */
  place(who: OnBehalfOf, body: string, idempotencyKey: string): Promise<Order>;
  /** The promotions that run now, as customers may know them. */
  promotions(who: OnBehalfOf): Promise<Promotion[]>;
  state(): BreakerState;
  stop(): void;
};

export type OrdersOptions = {
  /** One of several instances is asked in turn. */
  urls: readonly string[];
  tokens: DelegatedTokens;
  timeoutMs: number;
  /** How long nothing is asked once most calls failed; 5 s. */
  breakerOpenMs?: number;
  metrics: Metrics;
};

type Call<T> = {
  who: OnBehalfOf;
  method: 'GET' | 'POST';
  path: string;
  shape: z.ZodType<T>;
  body?: string;
  idempotencyKey?: string;
  freshToken?: boolean;
};

type Exchanged = { status: number; ok: boolean; body: unknown };

export function createOrdersClient(options: OrdersOptions): OrdersClient {
  const { urls, tokens, timeoutMs, breakerOpenMs: openMs = 5_000, metrics } = options;
  let turn = 0;
  const breaker = createBreaker({
    name: 'orders',
    call: exchange,
    // The request's own deadline comes first, and closes its connection.
    timeoutMs: timeoutMs + 1_000,
    openMs,
    metrics,
    isHarmless: (error) => error instanceof OrdersError && error.status > 0 && error.status < 500,
  });

  /** One exchange with the first instance that can be reached; every call may be sent again. */
  async function exchange(call: Call<unknown>, token: string): Promise<Exchanged> {
    const { signal } = call.who;
    for (let left = urls.length; ; left--) {
      try {
        const answer = await send(call, token, new URL(call.path, urls[turn++ % urls.length]));
        // Thrown in here, so that the breaker counts it.
        if (answer.status >= 500) throw refused(answer);
        return answer;
      } catch (error) {
        // Whoever asked has gone: that says nothing against the orders service.
        if (signal?.aborted) throw new OrdersError('stopped', 'Nobody waits for this.', { status: 499 });
        // What fetch throws when there is no connection, or it broke; a deadline is another error.
        if (left <= 1 || !(error instanceof TypeError)) throw error;
      }
    }
  }

  async function send(call: Call<unknown>, token: string, url: URL): Promise<Exchanged> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, {
      method: call.method,
      headers: {
        authorization: `Bearer ${token}`,
        traceparent: currentTraceparent(),
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(call.idempotencyKey === undefined ? {} : { 'idempotency-key': call.idempotencyKey }),
      },
      ...(call.body === undefined ? {} : { body: call.body }),
      signal: call.who.signal === undefined ? deadline : AbortSignal.any([deadline, call.who.signal]),
      redirect: 'error',
    });
    return { status: response.status, ok: response.ok, body: await response.json() };
  }

  async function ask<T>(call: Call<T>): Promise<T> {
    return withSpan(
      'orders.call',
      { kind: 'client', attributes: { 'http.request.method': call.method, 'url.path': call.path } },
      async () => {
        const { who, freshToken: fresh = false } = call;
        let answer = await throughBreaker(call, await tokens.tokenOf(who, { fresh }));
        if (answer.status === 401 && !fresh) {
          // Revoked or out of its time since it was cached.
          tokens.forget(who);
          answer = await throughBreaker(call, await tokens.tokenOf(who));
        }
        if (!answer.ok) throw refused(answer);
        const read = call.shape.safeParse(answer.body);
        if (read.success) return read.data;
        throw new OrdersError('orders_unavailable', 'The orders service gave an answer of another shape.', {
          retriable: true,
          cause: read.error,
        });
      },
    );
  }

  async function throughBreaker(call: Call<unknown>, token: string) {
    try {
      return await breaker.fire(call, token);
    } catch (error) {
      call.who.signal?.throwIfAborted();
      if (error instanceof OrdersError) throw error;
      throw new OrdersError('orders_unavailable', 'The orders service cannot be reached at the moment.', {
        retriable: true,
        cause: error,
      });
    }
  }

  return {
    quote: (who, basket) =>
      ask({ who, method: 'POST', path: '/v1/orders/quote', shape: quoteShape, body: JSON.stringify(basket) }),
    place: (who, body, idempotencyKey) =>
      ask({
        who,
        method: 'POST',
        path: '/v1/orders',
        shape: orderShape,
        body,
        idempotencyKey,
        freshToken: true,
      }),
    promotions: async (who) =>
      (await ask({ who, method: 'GET', path: '/v1/promotions/running', shape: promotionsShape })).data,
    state: breaker.state,
    stop: breaker.stop,
  };
}

function refused({ status, body }: { status: number; body: unknown }): OrdersError {
  const problem = problemShape.safeParse(body);
  const { code, detail, title, ...members } = problem.success
    ? problem.data
    : { code: 'orders_unavailable', title: `The orders service answered ${status}.`, detail: undefined };
  const retriable = status >= 500 || status === 429 || status === 401 || code === 'request_in_progress';
  return new OrdersError(code, detail ?? title, { status, retriable, members });
}
