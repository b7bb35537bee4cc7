/**
 * A trickle of sample orders, so that there is something to watch: one about every ten seconds, moved on step by step.
 * All of them are the staff's own, so that the sample customer sees the orders of the person at the keyboard alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { orderableProducts, placeOrder, type Rest, signIn, staffOf } from './sample-client.ts';

const everyMs = 10_000;
/** After ten minutes nobody may be watching any more: the trickle thins out instead of filling the disk. */
const thinAfterOrders = 60;
const thinEveryMs = 60_000;
/** Access tokens live for 15 minutes. */
const signInEveryMs = 10 * 60_000;
const steps = ['confirmed', 'preparing', 'ready', 'completed'];

/** How long to wait before the next order. */
export const pauseMs = (orders: number): number => (orders < thinAfterOrders ? everyMs : thinEveryMs);

export function startDemoTraffic(url: string, password: string): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    const open: { id: string; next: number }[] = [];
    let signedIn: { staff: Rest; products: string[]; until: number } | undefined;
    for (let orders = 0; !stopping.signal.aborted; orders++) {
      await sleep(pauseMs(orders), undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        if (!signedIn || performance.now() > signedIn.until) signedIn = await signInAgain();
        const product = signedIn.products[orders % signedIn.products.length];
        if (product === undefined) return;
        open.push({ id: await placeOrder(signedIn.staff, product, 1 + (orders % 3)), next: 0 });
        await moveOn(open, signedIn.staff);
      } catch {
        // Whatever is away comes back, and then the trickle goes on; it proves nothing, so it reports nothing.
        signedIn = undefined;
      }
    }
  }

  async function signInAgain() {
    const staff = await signIn(url, staffOf('demo', password));
    return {
      staff,
      products: await orderableProducts(staff),
      until: performance.now() + signInEveryMs,
    };
  }
}

/** Each open order takes one step; those that are through, or that somebody else has moved, are let go. */
async function moveOn(open: { id: string; next: number }[], staff: Rest): Promise<void> {
  for (const order of open.slice(0, -1)) {
    const status = steps[order.next++];
    try {
      if (status !== undefined) await staff.post(`/v1/orders/${order.id}/status`, { status });
    } catch {
      order.next = steps.length;
    }
    if (order.next >= steps.length) open.splice(open.indexOf(order), 1);
  }
}
