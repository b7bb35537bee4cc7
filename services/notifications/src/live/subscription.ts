/** Subscriptions: who wants which records, and whether they are LIVE or BEHIND. */
import type { Entry } from './entry.ts';
import type { Format } from './frames.ts';
import type { TenantList } from './ring.ts';

/** One kind of records of one topic; a subscription's selectors never match the same record twice. */
export type Selector = {
  readonly topic: number;
  /** The name under which events are shown. */
  readonly channel: string;
} & (
  | { readonly kind: 'tenant' }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'owned'; readonly key: string; readonly user: string }
);

/** Where frames go. `socket` is the raw one: frames are written by us whole. */
export type Outlet = {
  readonly format: Format;
  readonly socket: {
    write(chunk: Buffer): boolean;
    readonly writableLength: number;
    once(event: 'drain', run: () => void): unknown;
  };
  /** False from the moment in which a close is begun: nothing may follow a close frame. */
  isOpen: boolean;
  /** Subscriptions that wait for the socket to drain, and since when it has not. Most never do: no empty sets. */
  draining: Set<Subscription> | undefined;
  blockedSince: number | undefined;
};

/** What a listener does not want, though he may have it. */
export type Filter = {
  /** Asked about every record that a selector matches, once it is decoded. */
  admits(entry: Entry): boolean;
  /** The subscription is over. */
  release(): void;
};

/** By index of the topic: for each partition the next offset that this subscription is owed. */
export type Vector = (number[] | undefined)[];

export type Subscription = {
  readonly outlet: Outlet;
  readonly tenant: string;
  selectors: readonly Selector[];
  /** undefined: all that its selectors match. */
  readonly filter: Filter | undefined;
  /** Indexes of the selectors' topics, ascending, each once: the parts of its cursor. */
  readonly topics: readonly number[];
  /**
   * BEHIND: everything entitled before it was handed to the socket, and nothing from it on.
   * null: LIVE, its place is the instance's own vector.
   */
  behind: Vector | null;
  /** What it waits for while BEHIND. `closed` is final. */
  waits: 'nothing' | 'turn' | 'later' | 'drain' | 'replay' | 'closed';
  /** How far the tenant's list of the ring has been looked through. */
  list: TenantList | undefined;
  place: number;
  /** The flush during which it became LIVE: it already had that batch from the ring. */
  joinedIn: number;
  /** Frames of the batch at hand, when it has several selectors and so shares no group's. */
  pending: Buffer[];
  /** Events since it fell BEHIND, told at the end. */
  recovered: number;
  isReplayed: boolean;
  /** Since when its cursor has been ahead of this instance. */
  aheadSince: number | undefined;
};

export function newSubscription(
  outlet: Outlet,
  tenant: string,
  selectors: readonly Selector[],
  filter?: Filter,
): Subscription {
  return {
    outlet,
    tenant,
    selectors,
    filter,
    topics: topicsOf(selectors),
    behind: null,
    waits: 'nothing',
    list: undefined,
    place: 0,
    joinedIn: 0,
    pending: [],
    recovered: 0,
    isReplayed: false,
    aheadSince: undefined,
  };
}

const knownTopics = new Map<string, readonly number[]>();

/** The same array for all with the same topics: ten thousand subscriptions differ in little else. */
function topicsOf(selectors: readonly Selector[]): readonly number[] {
  const topics = [...new Set(selectors.map((it) => it.topic))].sort((a, b) => a - b);
  const name = topics.join();
  const known = knownTopics.get(name) ?? topics;
  knownTopics.set(name, known);
  return known;
}

/**
 * The selector by which a subscription may have a record. One function for writes, replays and reads of the ring:
 * rights come from the token that made the selectors, never from a cursor.
 */
export function entitling(subscription: Subscription, entry: Entry): Selector | undefined {
  if (entry.tenant !== subscription.tenant) return undefined;
  for (const selector of subscription.selectors) if (matches(selector, entry)) return selector;
  return undefined;
}

function matches(selector: Selector, entry: Entry): boolean {
  if (selector.topic !== entry.topic) return false;
  switch (selector.kind) {
    case 'tenant':
      return true;
    case 'user':
      return entry.user === selector.user;
    case 'key':
      return entry.key === selector.key;
    case 'owned':
      return entry.key === selector.key && entry.user === selector.user;
  }
}

export function channelsOf(subscription: Subscription): string[] {
  return [...new Set(subscription.selectors.map((it) => it.channel))];
}
