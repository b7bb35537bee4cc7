/** A sample customer as a program: signs in, orders, and watches the socket; for the proof and the demo traffic. */
import { WebSocket } from 'ws';
import { type Json, type Rest, rowsOf, signIn } from '../../tools/src/seed/rest.ts';

export type SampleUser = { tenant: string; email: string; password: string };

export const customerOf = (tenant: string, password: string): SampleUser => ({
  tenant,
  email: `customer@${tenant}.example`,
  password,
});

export const staffOf = (tenant: string, password: string): SampleUser => ({
  tenant,
  email: `staff@${tenant}.example`,
  password,
});

/** Ids of products that can be ordered now. */
export async function orderableProducts(rest: Rest): Promise<string[]> {
  const page = await rest.get('/v1/products?available=true&limit=50');
  return rowsOf(page).map((product) => String(product.id));
}

/** Places an order of one product; its id. */
export async function placeOrder(rest: Rest, productId: string, quantity = 1): Promise<string> {
  const order = await rest.post(
    '/v1/orders',
    { items: [{ product_id: productId, quantity }] },
    crypto.randomUUID(),
  );
  return String(order.id);
}

export { type Rest, signIn };

export type OrderWatch = {
  /** Resolves when the order's first event comes in, with the clock's time of that; at once when it has been. */
  seen(orderId: string, withinMs: number): Promise<number>;
  close(): void;
};

/** Opens `/ws/orders` with a ticket, as a browser does; resolves when the server has said welcome. */
export async function watchOrders(url: string, rest: Rest): Promise<OrderWatch> {
  const { ticket } = await rest.post('/v1/auth/tickets', {});
  const address = new URL(`/ws/orders?ticket=${encodeURIComponent(String(ticket))}`, url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(address, 'ragline.v1.json');
  const seenAt = new Map<string, number>();
  const waiting = new Map<string, (at: number) => void>();
  socket.on('error', () => {});
  const welcomed = new Promise<void>((resolve, reject) => {
    socket.once('close', (code) => reject(new Error(`the socket was closed (${code})`)));
    socket.once('unexpected-response', (_req, res) =>
      reject(new Error(`the socket was refused (${res.statusCode})`)),
    );
    socket.once('error', reject);
    socket.on('message', (data) => {
      const at = performance.now();
      const message: Json = JSON.parse(String(data));
      if (message.type === 'welcome') resolve();
      const orderId = orderIdOf(message);
      if (orderId === undefined || seenAt.has(orderId)) return;
      seenAt.set(orderId, at);
      waiting.get(orderId)?.(at);
    });
  });
  await welcomed;
  return {
    seen(orderId, withinMs) {
      const known = seenAt.get(orderId);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error(`no event of the order in ${withinMs / 1000} s`)),
          withinMs,
        );
        waiting.set(orderId, (at) => {
          clearTimeout(late);
          resolve(at);
        });
      });
    },
    close: () => socket.close(),
  };
}

function orderIdOf(message: Json): string | undefined {
  if (message.type !== 'event') return undefined;
  const data: unknown = message.data;
  const order: unknown =
    typeof data === 'object' && data !== null && 'order' in data ? data.order : undefined;
  const id: unknown = typeof order === 'object' && order !== null && 'id' in order ? order.id : undefined;
  return typeof id === 'string' ? id : undefined;
}
