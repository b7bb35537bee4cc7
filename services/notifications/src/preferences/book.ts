/**
 * What those want to hear of who are connected to this instance: read when they subscribe, kept up by the records of
 * changes, which every instance reads. Until it is known, everything is told: too much, never too little.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Principal } from '@ragline/web/auth';
import type { Entry } from '../live/entry.ts';
import type { Filter } from '../live/subscription.ts';
import { type Reader, readerOf } from '../reader.ts';
import { historyMax, judge, type Preferences, rulesAt, usualPreferences } from './rules.ts';
import { changeFrom } from './shapes.ts';
import type { PreferenceStore, User } from './store.ts';

type Page = {
  user: User;
  preferences: Preferences;
  isLoaded: boolean;
  /** His row is there, and this version cannot read it. */
  isUnreadable: boolean;
  loading: Promise<void> | undefined;
  watchers: number;
  /** Of nobody's interest since then. */
  idleSince: number;
};

export type PreferenceBook = ReturnType<typeof createPreferenceBook>;

const idleMs = 60_000;
/** A change that this instance did not hear of holds after so long all the same. */
const refreshMs = 60_000;
const usersAtOnce = 500;

export function createPreferenceBook(parts: {
  store: Pick<PreferenceStore, 'ofUsers' | 'seen'>;
  log: Logger;
  metrics: Metrics;
  now: () => number;
  /** How long a subscription waits to know what its user wants, before it begins without. */
  waitMs?: number;
}) {
  const { store, log, metrics, now, waitMs = 2_000 } = parts;
  const unknown = metrics.gauge(
    'ragline_preferences_unknown_users',
    'Users connected here whose preferences could not be read: they are told everything.',
  );
  const pages = new Map<string, Page>();
  let refreshAt = now() + refreshMs;
  let isRefreshing = false;

  function pageOf({ tenant_id, user_id }: User): Page {
    const key = keyOf({ tenant_id, user_id });
    const known = pages.get(key);
    if (known !== undefined) return known;
    const page: Page = {
      user: { tenant_id, user_id },
      preferences: usualPreferences,
      isLoaded: false,
      isUnreadable: false,
      loading: undefined,
      watchers: 0,
      idleSince: now(),
    };
    pages.set(key, page);
    return page;
  }

  async function load(wanted: readonly Page[]): Promise<void> {
    try {
      const versions = wanted.map(({ preferences }) => preferences.version);
      const rows = await store.ofUsers(wanted.map((it) => it.user));
      const read = new Map(rows.map(({ user, preferences }) => [keyOf(user), preferences]));
      for (const [place, page] of wanted.entries()) {
        const key = keyOf(page.user);
        const found = read.get(key);
        const wasUnreadable = page.isUnreadable;
        page.isUnreadable = read.has(key) && found === undefined;
        if (page.isUnreadable && !wasUnreadable)
          log.warn('preferences of another version: everything is told', page.user);
        const preferences = found ?? usualPreferences;
        const { version } = page.preferences;
        // A change came meanwhile that is younger than what was read: what held before it is only in the row.
        const holds = version === versions[place] || version <= preferences.version;
        if (holds) page.preferences = preferences;
        page.isLoaded = holds && !page.isUnreadable;
      }
    } catch (error) {
      log.warn('preferences not read: everything is told', { error, users: wanted.length });
    }
  }

  async function loadAll(isWanted: (page: Page) => boolean): Promise<void> {
    if (isRefreshing) return;
    isRefreshing = true;
    const wanted = [...pages.values()].filter(isWanted);
    for (let at = 0; at < wanted.length; at += usersAtOnce) await load(wanted.slice(at, at + usersAtOnce));
    isRefreshing = false;
  }

  function isWanted(page: Page, isStaff: boolean, entry: Entry): boolean {
    const about = entry.content.state === 'ready' ? entry.content.about : undefined;
    if (about === undefined) return true;
    if (about.whileStaff && !isStaff) return false;
    const { kind, createdAt } = about;
    return judge(rulesAt(page.preferences, createdAt), kind, createdAt) === 'told';
  }

  async function noteSeen(reader: Reader): Promise<void> {
    if (pageOf(reader).preferences.version === 0) return;
    await store.seen(reader).catch((error: unknown) => log.warn('presence not noted', { error }));
  }

  return {
    async open(principal: Principal): Promise<void> {
      const reader = readerOf(principal);
      const page = pageOf(reader);
      page.idleSince = now();
      if (!page.isLoaded) {
        page.loading ??= load([page]).finally(() => {
          page.loading = undefined;
        });
        await Promise.race([page.loading, delay(waitMs, undefined, { ref: false })]);
      }
      void noteSeen(reader);
    },

    watch(principalOf: () => Principal): Filter {
      const page = pageOf(principalOf());
      page.watchers += 1;
      return {
        admits: (entry) => isWanted(page, readerOf(principalOf()).is_staff, entry),
        release() {
          page.watchers -= 1;
          page.idleSince = now();
        },
      };
    },

    /** Of a change that was made at this instance. */
    put(user: User, preferences: Preferences): void {
      const page = pages.get(keyOf(user));
      if (page !== undefined && preferences.version > page.preferences.version)
        page.preferences = preferences;
    },

    changed(value: unknown): void {
      const change = changeFrom(value);
      const page = change && pages.get(keyOf(change));
      if (page === undefined || change === undefined) return;
      const { preferences: before } = page;
      if (change.version <= before.version) return;
      const { version, rules, from } = change;
      const known = before.version === 0 ? [] : [{ from: before.from, rules: before.rules }];
      page.preferences = {
        version,
        rules,
        from,
        history: [...known, ...before.history].slice(0, historyMax),
      };
      // Versions between were not heard of, or nothing was known yet: the row has them all.
      if (version !== before.version + 1) page.isLoaded = false;
    },

    refresh(): void {
      refreshAt = now();
    },

    /** Called about once a second. */
    sweep(): void {
      const at = now();
      let unknownCount = 0;
      for (const [key, { watchers, idleSince, isLoaded }] of pages) {
        if (watchers === 0 && at - idleSince > idleMs) pages.delete(key);
        else if (!isLoaded) unknownCount += 1;
      }
      unknown.set(unknownCount);
      const isDue = at >= refreshAt;
      if (isDue) refreshAt = at + refreshMs;
      void loadAll((page) => isDue || !page.isLoaded);
    },

    size: () => pages.size,
  };
}

const keyOf = ({ tenant_id, user_id }: User) => `${tenant_id} ${user_id}`;
