/** Who is told what about an order, in which words. */
import type { OrderEvent } from '@ragline/schemas/types.generated';

/** Whom it is for: one user, or whoever is staff (or admin) of the tenant. */
export type Audience = { audience: 'user'; user_id: string } | { audience: 'staff'; user_id: null };

export type NewNotification = Audience & {
  tenant_id: string;
  /** The event type that caused it. */
  kind: string;
  event_id: string;
  order_id: string | null;
  title: string;
};

/** Staff hear of new orders, customers of every step of their own. Events of tomorrow tell nobody anything. */
export function notificationsFor(event: OrderEvent): NewNotification[] {
  const { tenant_id, event_id, event_type, order } = event;
  const common = { tenant_id, kind: event_type, event_id, order_id: order.id };
  const step = stepOf(event);
  const own: NewNotification[] =
    step === undefined ? [] : [{ ...common, audience: 'user', user_id: event.user_id, title: step }];
  if (event_type !== 'order_created') return own;
  return [{ ...common, audience: 'staff', user_id: null, title: newOrderTitle(order) }, ...own];
}

function stepOf({ event_type, order, previous_status }: OrderEvent): string | undefined {
  switch (event_type) {
    case 'order_created':
      return 'Your order was received';
    case 'order_cancelled':
      return 'Your order was cancelled';
    case 'order_status_changed':
      return statusTitle(order.status, previous_status);
    default:
      return undefined;
  }
}

function statusTitle(status: OrderEvent['order']['status'], previous: string | null): string {
  // Recalled, `preparing` and `ready` come a second time.
  if (status === 'preparing' && previous === 'ready') return 'Your order is being prepared again';
  if (status === 'ready' && previous === 'completed') return 'Your order is ready again';
  const titles = {
    pending: 'Your order was received',
    confirmed: 'Your order was confirmed',
    preparing: 'Your order is being prepared',
    ready: 'Your order is ready',
    completed: 'Your order is completed',
    cancelled: 'Your order was cancelled',
  };
  return titles[status] ?? `Your order is now ${status}`;
}

function newOrderTitle({ items, total, currency }: OrderEvent['order']): string {
  const pieces = items.reduce((sum, { quantity }) => sum + quantity, 0);
  return `New order: ${pieces} ${pieces === 1 ? 'item' : 'items'}, ${amount(total, currency)}`;
}

/** Minor units as people write them; currencies differ in how many digits those are. */
function amount(minor: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'code' });
    const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    return format.format(minor / 10 ** digits).replace(/\u00a0/g, ' ');
  } catch {
    return `${minor} ${currency}`;
  }
}
