/** The last step of a start: a real order, seen on a socket. */
import { customerOf, orderableProducts, placeOrder, signIn, watchOrders } from './sample-client.ts';

const withinMs = 45_000;

/**
 * Orders over REST and waits for the event on `/ws/orders`, three times; the time of the last, from the request to
 * the socket, in milliseconds. The first ones warm up JVMs that have just started. As the sentinel's customer, whose
 * orders nobody has to look at, and which are deleted after a day.
 *
 * @param password the sentinel's
 *
 * Throws an Error that says which leg did not come about.
 */
export async function proveRoundTrip(url: string, password: string): Promise<number> {
  const rest = await signIn(url, customerOf('sentinel', password));
  const [product] = await orderableProducts(rest);
  if (product === undefined) throw new Error('there is no product to order');
  const watch = await watchOrders(url, rest);
  try {
    let tookMs = 0;
    for (let order = 0; order < 3; order++) {
      const began = performance.now();
      const id = await placeOrder(rest, product);
      tookMs = (await watch.seen(id, withinMs)) - began;
    }
    return tookMs;
  } finally {
    watch.close();
  }
}
