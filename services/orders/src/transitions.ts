/** Where an order may go from where it stands. Pure. */
import type { OrderStatus } from './types.ts';

export const orderStatuses = [
  'pending',
  'confirmed',
  'preparing',
  'ready',
  'completed',
  'cancelled',
] as const satisfies readonly OrderStatus[];

/** How long a completed order may be called back to ready. */
export const recallMs = 15 * 60_000;

const nextOf: Record<OrderStatus, readonly OrderStatus[]> = {
  pending: ['confirmed', 'cancelled'],
  confirmed: ['preparing', 'cancelled'],
  preparing: ['ready', 'cancelled'],
  ready: ['completed', 'preparing'],
  completed: ['ready'],
  cancelled: [],
};

export type Standing = { status: OrderStatus; completedAtMs: number | undefined };

/** Why the order may not go there, to be read by the caller; undefined when it may. */
export function objectionTo(
  { status, completedAtMs }: Standing,
  to: OrderStatus,
  by: 'customer' | 'staff',
  atMs: number,
): string | undefined {
  if (!nextOf[status].includes(to)) return `An order that is ${status} cannot become ${to}.`;
  if (by === 'customer' && !(status === 'pending' && to === 'cancelled')) {
    return `Customers may cancel an order while it is pending; this one is ${status}.`;
  }
  if (status === 'completed' && (completedAtMs === undefined || atMs - completedAtMs > recallMs)) {
    return 'A completed order can be recalled for 15 minutes only.';
  }
  return undefined;
}

/** A cancellation has an event type of its own, whichever way it was asked for. */
export function eventTypeOf(to: OrderStatus): 'order_cancelled' | 'order_status_changed' {
  return to === 'cancelled' ? 'order_cancelled' : 'order_status_changed';
}
