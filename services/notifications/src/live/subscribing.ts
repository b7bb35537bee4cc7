/** Subscribing a connection to channels, the same for sockets and streams. */
import type { Principal } from '@ragline/web/auth';
import { type Channel, channelFrom, conversationsTopic, ordersTopic, selectorsOf } from './channels.ts';
import type { Connection } from './connections.ts';
import type { LiveCore } from './core.ts';
import type { Filter } from './subscription.ts';

/** Says whether the caller may see what has this id; `unknown` when it cannot be found out now. */
export type Lookup = (id: string, token: string) => Promise<'visible' | 'not_found' | 'unknown'>;

/** What users want to hear of among their notifications. */
export type Wants = {
  /** Resolves when it is known what this user wants, or cannot be found out in time. */
  open(principal: Principal): Promise<void>;
  watch(principalOf: () => Principal): Filter;
};

export type Subscribing = ReturnType<typeof createSubscribing>;

export function createSubscribing({
  core,
  lookUpOrder,
  lookUpConversation,
  preferences,
}: {
  core: LiveCore;
  lookUpOrder: Lookup;
  lookUpConversation: Lookup;
  preferences?: Wants | undefined;
}) {
  /**
   * Whether there is such a channel for the caller. An order or a conversation is looked for among the latest events first;
   * one that is not there is asked for at its service. When that does not answer, the subscription is let in: whose
   * events it gets is decided at every event all the same.
   */
  async function isVisible(channel: Channel, principal: Principal, token: string): Promise<boolean> {
    if (channel.kind === 'order') return isKnown(ordersTopic, channel.orderId, lookUpOrder);
    if (channel.kind === 'conversation')
      return isKnown(conversationsTopic, channel.conversationId, lookUpConversation);
    return true;

    async function isKnown(topic: number, id: string, lookUp: Lookup): Promise<boolean> {
      const known = core.ring.findKey(principal.tenant_id, topic, id);
      const [selector] = selectorsOf(channel, principal);
      if (known !== undefined && selector?.kind === 'owned' && known.user !== undefined) {
        return known.user === selector.user;
      }
      return known !== undefined || (await lookUp(id, token)) !== 'not_found';
    }
  }

  return {
    /** undefined: there is no such channel for this caller. */
    async visibleChannel(name: string, principal: Principal, token: string): Promise<Channel | undefined> {
      const channel = channelFrom(name);
      if (channel === undefined || !(await isVisible(channel, principal, token))) return undefined;
      if (channel.kind === 'notifications') await preferences?.open(principal);
      return channel;
    },

    /** What the user of a connection does not want of these channels. */
    filterOf(connection: Connection, channels: readonly Channel[]): Filter | undefined {
      if (!channels.some(({ kind }) => kind === 'notifications')) return undefined;
      return preferences?.watch(() => connection.principal);
    },

    /** New rights after a new token, for everything that is subscribed to. */
    reselect(connection: Connection): void {
      for (const [name, subscription] of connection.subscriptions) {
        const channel = channelFrom(name);
        if (channel === undefined) continue;
        core.reselect(subscription, selectorsOf(channel, connection.principal));
        if (channel.kind === 'notifications') void preferences?.open(connection.principal);
      }
    },
  };
}

/**
 * Asks a service with the caller's own token; without its address nothing is known.
 *
 * @param path where the service has such things: `/v1/orders`
 */
export function lookupAt(serviceUrl: string | undefined, path: string): Lookup {
  if (serviceUrl === undefined) return async () => 'unknown';
  const base = serviceUrl.replace(/\/+$/, '');
  return async (id, token) => {
    try {
      const answer = await fetch(`${base}${path}/${id}`, {
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
