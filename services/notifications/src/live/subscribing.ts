/** Subscribing a connection to channels, the same for sockets and streams. */
import type { Principal } from '@ragline/web/auth';
import { type Channel, channelFrom, ordersTopic, selectorsOf } from './channels.ts';
import type { Connection } from './connections.ts';
import type { LiveCore } from './core.ts';

/** Says whether the caller may see an order; `unknown` when it cannot be found out now. */
export type OrderLookup = (orderId: string, token: string) => Promise<'visible' | 'not_found' | 'unknown'>;

export type Subscribing = ReturnType<typeof createSubscribing>;

export function createSubscribing({ core, lookUpOrder }: { core: LiveCore; lookUpOrder: OrderLookup }) {
  /**
   * Whether there is such a channel for the caller. An order is looked for among the latest events first; one that
   * is not there is asked for at the orders service. When that does not answer, the subscription is let in: whose
   * events it gets is decided at every event all the same.
   */
  async function isVisible(channel: Channel, principal: Principal, token: string): Promise<boolean> {
    if (channel.kind !== 'order') return true;
    const known = core.ring.findKey(principal.tenant_id, ordersTopic, channel.orderId);
    const [selector] = selectorsOf(channel, principal);
    if (known !== undefined && selector?.kind === 'owned' && known.user !== undefined) {
      return known.user === selector.user;
    }
    return known !== undefined || (await lookUpOrder(channel.orderId, token)) !== 'not_found';
  }

  return {
    /** undefined: there is no such channel for this caller. */
    async visibleChannel(name: string, principal: Principal, token: string): Promise<Channel | undefined> {
      const channel = channelFrom(name);
      return channel !== undefined && (await isVisible(channel, principal, token)) ? channel : undefined;
    },

    /** New rights after a new token, for everything that is subscribed to. */
    reselect(connection: Connection): void {
      for (const [name, subscription] of connection.subscriptions) {
        const channel = channelFrom(name);
        if (channel !== undefined) core.reselect(subscription, selectorsOf(channel, connection.principal));
      }
    },
  };
}

/** Asks the orders service with the caller's own token; without its address nothing is known. */
export function orderLookup(ordersUrl: string | undefined): OrderLookup {
  if (ordersUrl === undefined) return async () => 'unknown';
  const base = ordersUrl.replace(/\/+$/, '');
  return async (orderId, token) => {
    try {
      const answer = await fetch(`${base}/v1/orders/${orderId}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(2_000),
      });
      await answer.body?.cancel();
      if (answer.status === 404) return 'not_found';
      return answer.status === 200 ? 'visible' : 'unknown';
    } catch {
      return 'unknown';
    }
  };
}
