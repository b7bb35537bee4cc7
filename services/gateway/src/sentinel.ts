/**
 * A real order every 10 s, from outside: placed over REST, then awaited on a socket of every instance of
 * notifications, once as the event itself and once as the notification that a consumer group makes of it.
 * How old the newest one is that came through says whether the whole path works.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { type Age, createBook, type SentinelState, type Stage } from './sentinel-book.ts';
import { CallError, call, createSession, textAt } from './sentinel-session.ts';
import { watchInstance } from './sentinel-socket.ts';

export type Sentinel = {
  state(): SentinelState;
  ages(): Age[];
  /** Brings the gauges up to date; to be called before they are read. */
  observe(): void;
  stop(): void;
};

export type SentinelOptions = {
  /** Undefined: there is no sentinel. */
  password: string | undefined;
  origin: string;
  notifications: readonly { name: string; url: URL }[];
  everyMs: number;
  lateAfterMs: number;
  log: Logger;
  metrics: Metrics;
};

/** The one that does nothing. */
export const noSentinel: Sentinel = { state: () => 'off', ages: () => [], observe: () => {}, stop: () => {} };

export function startSentinel(options: SentinelOptions): Sentinel {
  const { password, origin, notifications, everyMs, lateAfterMs, log, metrics } = options;
  if (password === undefined) return noSentinel;
  const labels = ['stage', 'instance'] as const;
  const age = metrics.gauge(
    'ragline_sentinel_age_seconds',
    "Time since the sentinel's newest order that passed this stage was placed.",
    labels,
  );
  const path = metrics.histogram(
    'ragline_sentinel_path_seconds',
    "From the placing of a sentinel's order to this stage.",
    labels,
  );
  const orders = metrics.counter('ragline_sentinel_orders_total', "The sentinel's orders, by outcome.", [
    'outcome',
  ]);
  const book = createBook({
    places: [
      { stage: 'accepted', instance: 'orders' },
      ...notifications.flatMap(({ name }) => [
        { stage: 'live' as const, instance: name },
        { stage: 'handled' as const, instance: name },
      ]),
    ],
    lateAfterMs,
    startedAt: Date.now(),
  });
  const customer = createSession({ origin, email: 'customer@sentinel.example', password });
  const staff = createSession({ origin, email: 'staff@sentinel.example', password });
  const measured = (stage: Stage, instance: string, placedAt: number, at: number) =>
    path.observe({ stage, instance }, Math.max(0, at - placedAt) / 1000);

  const sockets = notifications.map(({ name, url }) =>
    watchInstance({
      instance: name,
      url: `ws://${url.host}/ws`,
      session: staff,
      log,
      onOrder(stage, instance, orderId) {
        const at = Date.now();
        const placedAt = book.seen(stage, instance, orderId, at);
        if (placedAt !== undefined) measured(stage, instance, placedAt, at);
      },
    }),
  );

  let productId: string | undefined;
  let isPlacing = false;
  let wasFailing = false;

  async function place(): Promise<void> {
    // The last one still waits for its answer: another would say nothing new, only add to the load.
    if (isPlacing) return;
    isPlacing = true;
    try {
      const token = await customer.token();
      productId ??= await findProduct(origin, token, staff);
      const placedAt = Date.now();
      const answer = await call(origin, 'POST', '/v1/orders', {
        token,
        body: { items: [{ product_id: productId, quantity: 1 }] },
        headers: { 'idempotency-key': randomUUID() },
      });
      const orderId = textAt(answer.body, 'id');
      if (orderId === undefined) throw new Error('the order has no id');
      book.seen('accepted', 'orders', orderId, Date.now());
      for (const { stage, instance, at } of book.placed(orderId, placedAt))
        measured(stage, instance, placedAt, at);
      orders.inc({ outcome: 'accepted' });
      wasFailing = false;
    } catch (error) {
      orders.inc({ outcome: 'failed' });
      // Whatever was remembered may be what is wrong.
      productId = undefined;
      if (error instanceof CallError && error.status === 401) customer.forget();
      if (!wasFailing) log.warn('sentinel order failed', { error });
      wasFailing = true;
    } finally {
      isPlacing = false;
    }
  }

  const timer = setInterval(() => void place(), everyMs);
  // Soon; a moment for sockets to open, and for services that start together with us.
  const first = setTimeout(() => void place(), Math.min(1_000, everyMs));

  return {
    state: () => book.state(Date.now()),
    ages: () => book.ages(Date.now()),
    observe() {
      for (const { stage, instance, ageS } of book.ages(Date.now())) age.set({ stage, instance }, ageS);
    },
    stop() {
      clearInterval(timer);
      clearTimeout(first);
      for (const socket of sockets) socket.stop();
    },
  };
}

/** The product that the sentinel orders; made if the tenant has none yet. */
async function findProduct(
  origin: string,
  token: string,
  staff: { token(): Promise<string> },
): Promise<string> {
  const listed = await call(origin, 'GET', '/v1/products?available=true&limit=1', { token });
  const found = textAt(listed.body, 'data', '0', 'id');
  if (found !== undefined) return found;
  const made = await call(origin, 'POST', '/v1/products', {
    token: await staff.token(),
    body: { name: 'Sentinel', price: 100, currency: 'EUR', category: 'sentinel' },
    headers: { 'idempotency-key': 'sentinel-product' },
  });
  const id = textAt(made.body, 'id');
  if (id === undefined) throw new Error('the product has no id');
  return id;
}
