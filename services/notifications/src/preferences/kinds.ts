/** What somebody can be told of, and what is said of it in a digest. */

type Words = readonly [one: string, many: string];

export type Kind = {
  /** Who can be told of it at all. */
  readonly for: 'everyone' | 'staff';
  /** Told at once in quiet hours too: what cannot wait until the morning. */
  readonly isUrgent: boolean;
  /** In a digest, of one's own; and of what is for all staff. */
  readonly own: Words;
  readonly staff: Words;
};

const webhooks: Words = ['webhook was switched off', 'webhooks were switched off'];

export const kinds = {
  order_created: {
    for: 'everyone',
    isUrgent: false,
    own: ['order of yours was received', 'orders of yours were received'],
    staff: ['new order', 'new orders'],
  },
  order_status_changed: {
    for: 'everyone',
    isUrgent: false,
    own: ['step of your orders', 'steps of your orders'],
    staff: ['step of an order', 'steps of orders'],
  },
  order_cancelled: {
    for: 'everyone',
    // Whoever is on the way to fetch it, or about to cook it, must know now.
    isUrgent: true,
    own: ['order of yours was cancelled', 'orders of yours were cancelled'],
    staff: ['order was cancelled', 'orders were cancelled'],
  },
  webhook_disabled: { for: 'staff', isUrgent: false, own: webhooks, staff: webhooks },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof kinds;

/** Kinds that this user can be told of, in the order in which they are shown. */
export function kindsOf(isStaff: boolean): KindName[] {
  return kindNames.filter((name) => isStaff || kinds[name].for === 'everyone');
}

export const kindNames: readonly KindName[] = [
  'order_created',
  'order_status_changed',
  'order_cancelled',
  'webhook_disabled',
];

const byName: ReadonlyMap<string, Kind> = new Map(Object.entries(kinds));

/** undefined for what a service of tomorrow tells of. */
export function kindOf(name: string): Kind | undefined {
  return byName.get(name);
}

export const digestKind = 'notifications_digest';
