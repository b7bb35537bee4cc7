/** Channels: their names, and what of a topic somebody may have under each. */
import { hasRole, type Principal } from '@ragline/web/auth';
import type { Selector } from './subscription.ts';

/** Indexes of the topics in the core; their order is that of the vectors in a cursor. */
export const ordersTopic = 0;
export const notificationsTopic = 1;
export const conversationsTopic = 2;

export type Channel =
  | { kind: 'orders'; name: string }
  | { kind: 'order'; name: string; orderId: string }
  | { kind: 'notifications'; name: string }
  | { kind: 'conversation'; name: string; conversationId: string };

const oneOfMany = /^(orders|conversation):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** undefined for what is no channel. */
export function channelFrom(name: string): Channel | undefined {
  if (name === 'orders') return { kind: 'orders', name };
  if (name === 'notifications') return { kind: 'notifications', name };
  const [, kind, id] = oneOfMany.exec(name) ?? [];
  if (id === undefined) return undefined;
  return kind === 'orders'
    ? { kind: 'order', name, orderId: id }
    : { kind: 'conversation', name, conversationId: id };
}

/**
 * What the caller may have of a channel; no two selectors match the same record. Customers see their own orders,
 * staff and admins their tenant's. Of notifications everyone has the own ones, staff also those for all staff
 * (their records name no user). A conversation is its owner's alone.
 */
export function selectorsOf(channel: Channel, principal: Principal): Selector[] {
  const { user_id: user } = principal;
  const isStaff = hasRole(principal, 'staff');
  const orders = { topic: ordersTopic, channel: channel.name };
  switch (channel.kind) {
    case 'orders':
      return [isStaff ? { ...orders, kind: 'tenant' } : { ...orders, kind: 'user', user }];
    case 'order':
      return [
        isStaff
          ? { ...orders, kind: 'key', key: channel.orderId }
          : { ...orders, kind: 'owned', key: channel.orderId, user },
      ];
    case 'notifications': {
      const own = { topic: notificationsTopic, channel: channel.name, kind: 'user' } as const;
      return isStaff
        ? [
            { ...own, user },
            { ...own, user: '' },
          ]
        : [{ ...own, user }];
    }
    case 'conversation':
      return [
        {
          topic: conversationsTopic,
          channel: channel.name,
          kind: 'owned',
          key: channel.conversationId,
          user,
        },
      ];
  }
}

/** One stream shows an event once: an order of its own channel is left out beside all orders. */
export function withoutOverlap(channels: Channel[]): Channel[] {
  const byName = new Map(channels.map((channel) => [channel.name, channel]));
  return [...byName.values()].filter((channel) => channel.kind !== 'order' || !byName.has('orders'));
}
