import { randomUUID } from 'node:crypto';
import type { AcknowledgedStep } from './history.ts';
import type { Session } from './session.ts';

export type Load = {
  acknowledged: AcknowledgedStep[];
  /** Stops placing; resolves when every request that was begun is answered for good. */
  stop(): Promise<void>;
};

/** Places orders at a steady rate and moves every second one on, as a person who tries again until answered. */
export function startLoad(
  customer: Session,
  staff: Session,
  productId: string,
  ordersPerSecond: number,
): Load {
  const acknowledged: AcknowledgedStep[] = [];
  const open = new Set<Promise<void>>();
  let count = 0;
  const timer = setInterval(() => {
    count += 1;
    const one = orderAndMove(count % 2 === 0).finally(() => open.delete(one));
    open.add(one);
  }, 1000 / ordersPerSecond);

  async function orderAndMove(move: boolean) {
    const key = randomUUID();
    const body = { items: [{ product_id: productId, quantity: 1 }] };
    const order = await untilAnswered(customer, 'POST', '/v1/orders', body, { 'idempotency-key': key });
    const step = { tenant_id: customer.tenantId, order_id: order.id };
    acknowledged.push({ ...step, version: order.version });
    if (!move) return;
    const moved = await confirm(order.id);
    acknowledged.push({ ...step, version: moved.version });
  }

  // A status change carries no key: after an answer that was lost, the retry finds it done already.
  async function confirm(orderId: string): Promise<Order> {
    const path = `/v1/orders/${orderId}`;
    return untilAnswered(staff, 'POST', `${path}/status`, { status: 'confirmed' }, {}, async (status) =>
      status === 409 ? untilAnswered(staff, 'GET', path) : undefined,
    );
  }

  return {
    acknowledged,
    async stop() {
      clearInterval(timer);
      while (open.size > 0) await Promise.all(open);
    },
  };
}

type Order = { id: string; version: number };

async function untilAnswered(
  session: Session,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  otherwise: (status: number) => Promise<Order | undefined> = async () => undefined,
): Promise<Order> {
  const giveUpAt = Date.now() + 180_000;
  for (let wait = 50; ; wait = Math.min(wait * 2, 1_000)) {
    const answer = await send(session, method, path, body, headers).catch(() => undefined);
    if (answer?.order) return answer.order;
    const known = answer && (await otherwise(answer.status));
    if (known) return known;
    // A 4xx other than these is a verdict about the request, and no retry changes it.
    const mayHelp = !answer || answer.status >= 500 || answer.status === 409 || answer.status === 429;
    if (!mayHelp || Date.now() > giveUpAt) throw new Error(`${method} ${path} answered ${answer?.status}`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function send(
  session: Session,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
) {
  const response = await fetch(session.url + path, {
    method,
    headers: {
      authorization: `Bearer ${await session.token()}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer: unknown = await response.json();
  return { status: response.status, order: response.ok ? (answer as Order) : undefined };
}
