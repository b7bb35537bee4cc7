/** Groups: the LIVE subscriptions by what they want, so that a record finds its listeners without looking at others. */
import type { Entry } from './entry.ts';
import type { Format } from './frames.ts';
import type { Selector, Subscription } from './subscription.ts';

/** Members of a group whose frames are the same bytes. */
export type Audience = {
  readonly format: Format;
  readonly channel: string;
  /** The topics in its members' cursors. */
  readonly topics: readonly number[];
  /** Audiences with the same variant take the same frame, in whatever group. */
  readonly variant: string;
  readonly members: Set<Subscription>;
  /**
   * Members with several selectors, whose frames are gathered by subscription to keep the order of their cursors; and
   * those with a filter, who do not all get the same.
   */
  readonly gatherers: Set<Subscription>;
  pending: Buffer[];
};

export type Group = Map<string, Audience>;
type TopicGroups = {
  tenant: Group | undefined;
  users: Map<string, Group>;
  keys: Map<string, Group>;
  owned: Map<string, Group>;
};

export type Groups = ReturnType<typeof createGroups>;

export function createGroups() {
  const byTenant = new Map<string, (TopicGroups | undefined)[]>();
  const members = new Set<Subscription>();

  return {
    /** All LIVE subscriptions. */
    members,

    join(subscription: Subscription): void {
      members.add(subscription);
      const topics = byTenant.get(subscription.tenant) ?? [];
      byTenant.set(subscription.tenant, topics);
      for (const selector of subscription.selectors) {
        topics[selector.topic] ??= { tenant: undefined, users: new Map(), keys: new Map(), owned: new Map() };
        const groups = topics[selector.topic];
        if (groups === undefined) continue;
        const audience = audienceOf(groupOf(groups, selector), subscription, selector);
        const isApart = subscription.selectors.length > 1 || subscription.filter !== undefined;
        (isApart ? audience.gatherers : audience.members).add(subscription);
      }
    },

    leave(subscription: Subscription): void {
      if (!members.delete(subscription)) return;
      const topics = byTenant.get(subscription.tenant);
      if (topics === undefined) return;
      for (const selector of subscription.selectors) {
        const groups = topics[selector.topic];
        if (groups === undefined) continue;
        const group = groupOf(groups, selector);
        const audience = audienceOf(group, subscription, selector);
        audience.members.delete(subscription);
        audience.gatherers.delete(subscription);
        if (audience.members.size + audience.gatherers.size > 0) continue;
        group.delete(audience.variant);
        if (group.size === 0) forget(groups, selector);
        if (isEmpty(groups)) topics[selector.topic] = undefined;
      }
      if (topics.every((it) => it === undefined)) byTenant.delete(subscription.tenant);
    },

    /** The groups that a record belongs to: all of the tenant, its user, its key. */
    of(entry: Entry): Group[] {
      const groups = byTenant.get(entry.tenant)?.[entry.topic];
      if (groups === undefined) return none;
      const found: Group[] = [];
      if (groups.tenant !== undefined) found.push(groups.tenant);
      const byUser = entry.user === undefined ? undefined : groups.users.get(entry.user);
      if (byUser !== undefined) found.push(byUser);
      const byKey = groups.keys.size === 0 ? undefined : groups.keys.get(entry.key);
      if (byKey !== undefined) found.push(byKey);
      const own =
        groups.owned.size === 0 ? undefined : groups.owned.get(ownedKey(entry.key, entry.user ?? ''));
      if (own !== undefined) found.push(own);
      return found;
    },
  };
}

const none: Group[] = [];

function ownedKey(key: string, user: string): string {
  return `${key} ${user}`;
}

function groupOf(groups: TopicGroups, selector: Selector): Group {
  switch (selector.kind) {
    case 'tenant':
      groups.tenant ??= new Map();
      return groups.tenant;
    case 'user':
      return found(groups.users, selector.user);
    case 'key':
      return found(groups.keys, selector.key);
    case 'owned':
      return found(groups.owned, ownedKey(selector.key, selector.user));
  }
}

function found(groups: Map<string, Group>, name: string): Group {
  const group: Group = groups.get(name) ?? new Map();
  groups.set(name, group);
  return group;
}

function forget(groups: TopicGroups, selector: Selector): void {
  if (selector.kind === 'tenant') groups.tenant = undefined;
  else if (selector.kind === 'user') groups.users.delete(selector.user);
  else if (selector.kind === 'key') groups.keys.delete(selector.key);
  else groups.owned.delete(ownedKey(selector.key, selector.user));
}

function isEmpty({ tenant, users, keys, owned }: TopicGroups): boolean {
  return tenant === undefined && users.size + keys.size + owned.size === 0;
}

function audienceOf(group: Group, { outlet, topics }: Subscription, { channel }: Selector): Audience {
  const variant = `${outlet.format} ${topics.join('+')} ${channel}`;
  const known = group.get(variant);
  if (known !== undefined) return known;
  const audience: Audience = {
    format: outlet.format,
    channel,
    topics,
    variant,
    members: new Set(),
    gatherers: new Set(),
    pending: [],
  };
  group.set(variant, audience);
  return audience;
}
