import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createMetrics } from '@ragline/runtime/metrics';
import type { Principal } from '@ragline/web/auth';
import { describe, it } from 'mocha';
import type { Entry } from '../live/entry.ts';
import { createPreferenceBook } from './book.ts';
import { type Preferences, type Rules, usualRules } from './rules.ts';
import type { User } from './store.ts';

const muted: Rules = { ...usualRules, events: { order_created: { list: true, live: false } } };

describe('what connected users want to hear of', () => {
  it('is known from the row, from records that are younger, and from no others', async () => {
    const { book, principal, rows } = aBook();
    rows.set(principal.user_id, { version: 3, rules: muted, from: 100, history: [] });
    await book.open(principal);
    const filter = book.watch(() => principal);
    assert.equal(filter.admits(anEntry('order_created', 200)), false);
    book.changed(aChange(principal, 2, usualRules, 50));
    assert.equal(filter.admits(anEntry('order_created', 200)), false);
    book.changed(aChange(principal, 4, usualRules, 300));
    assert.equal(filter.admits(anEntry('order_created', 300)), true);
    assert.equal(filter.admits(anEntry('order_created', 299)), false);
    book.changed({ event_type: 'notification_preferences_changed', preferences: 'nonsense' });
    book.changed(undefined);
  });

  it('is everything, while it cannot be read, and is read again', async () => {
    const { book, metrics, principal, rows, fail } = aBook();
    const unknown = async () =>
      /^ragline_preferences_unknown_users\S* (\d+)/m.exec(await metrics.text())?.[1];
    rows.set(principal.user_id, { version: 1, rules: muted, from: 0, history: [] });
    fail(true);
    await book.open(principal);
    const filter = book.watch(() => principal);
    assert.equal(filter.admits(anEntry('order_created', 200)), true);
    book.sweep();
    assert.equal(await unknown(), '1');
    await turn();
    fail(false);
    book.sweep();
    await turn();
    assert.equal(filter.admits(anEntry('order_created', 200)), false);
    book.sweep();
    assert.equal(await unknown(), '0');
  });

  it('is everything, and counted as unknown, while another version wrote the row, and is said once', async () => {
    const { book, metrics, principal, rows, warnings } = aBook();
    const unknown = async () => {
      book.sweep();
      await turn();
      return /^ragline_preferences_unknown_users\S* (\d+)/m.exec(await metrics.text())?.[1];
    };
    rows.set(principal.user_id, { version: 1, rules: muted, from: 0, history: [] });
    await book.open(principal);
    const filter = book.watch(() => principal);
    assert.equal(await unknown(), '0');
    rows.set(principal.user_id, 'unreadable');
    book.refresh();
    await unknown();
    assert.equal(filter.admits(anEntry('order_created', 200)), true);
    assert.deepEqual([await unknown(), await unknown()], ['1', '1']);
    const { tenant_id, user_id } = principal;
    assert.deepEqual(warnings, [
      ['preferences of another version: everything is told', { tenant_id, user_id }],
    ]);
    rows.set(principal.user_id, { version: 2, rules: muted, from: 0, history: [] });
    await unknown();
    assert.equal(filter.admits(anEntry('order_created', 200)), false);
    assert.equal(await unknown(), '0');
  });

  it('is read again where a change came while it was read, for what held before', async () => {
    const { book, principal, rows } = aBook();
    const before: Preferences = { version: 5, rules: muted, from: 100, history: [] };
    rows.set(principal.user_id, before);
    const opening = book.open(principal);
    book.changed(aChange(principal, 6, usualRules, 300));
    await opening;
    rows.set(principal.user_id, { version: 6, rules: usualRules, from: 300, history: [before] });
    book.sweep();
    await turn();
    const filter = book.watch(() => principal);
    assert.equal(filter.admits(anEntry('order_created', 200)), false);
    assert.equal(filter.admits(anEntry('order_created', 300)), true);
  });

  it('is what the row says, also where a database that was set back says less', async () => {
    const { book, principal, rows } = aBook();
    rows.set(principal.user_id, { version: 3, rules: muted, from: 100, history: [] });
    await book.open(principal);
    const filter = book.watch(() => principal);
    rows.delete(principal.user_id);
    book.refresh();
    book.sweep();
    await turn();
    assert.equal(filter.admits(anEntry('order_created', 200)), true);
  });

  it('does not keep a subscription waiting for a database that does not answer', async () => {
    const { book, principal, hang } = aBook();
    hang();
    await book.open(principal);
    assert.equal(book.watch(() => principal).admits(anEntry('order_created', 1)), true);
  });

  it('is read again after records may have been missed, and every minute', async () => {
    const { book, principal, rows, pass } = aBook();
    await book.open(principal);
    const filter = book.watch(() => principal);
    const admits = () => filter.admits(anEntry('order_created', 200));
    rows.set(principal.user_id, { version: 1, rules: muted, from: 0, history: [] });
    book.sweep();
    await turn();
    assert.equal(admits(), true);
    book.refresh();
    book.sweep();
    await turn();
    assert.equal(admits(), false);
    rows.set(principal.user_id, { version: 2, rules: usualRules, from: 0, history: [] });
    pass(60_000);
    book.sweep();
    await turn();
    assert.equal(admits(), true);
  });

  it('is forgotten a minute after the last one has gone', async () => {
    const { book, principal, pass } = aBook();
    await book.open(principal);
    const filter = book.watch(() => principal);
    pass(120_000);
    book.sweep();
    assert.equal(book.size(), 1);
    filter.release();
    pass(60_001);
    book.sweep();
    assert.equal(book.size(), 0);
  });

  it('shows a digest of staff to staff alone, from the moment in which the token says so', async () => {
    const { book, principal } = aBook();
    const present = { ...principal, roles: ['staff'] as Principal['roles'] };
    const filter = book.watch(() => present);
    const digest = anEntry('notifications_digest', 1, true);
    assert.equal(filter.admits(digest), true);
    present.roles = ['customer'];
    assert.equal(filter.admits(digest), false);
  });

  it('says nothing of what is no notification', () => {
    const { book, principal } = aBook();
    const entry = anEntry('order_created', 1);
    entry.content = {
      state: 'ready',
      tail: Buffer.alloc(0),
      eventType: 'notification_read',
      about: undefined,
    };
    assert.equal(book.watch(() => principal).admits(entry), true);
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

function aBook() {
  const rows = new Map<string, Preferences | 'unreadable'>();
  const warnings: unknown[] = [];
  let isFailing = false;
  let isHanging = false;
  let at = 1_000_000;
  const metrics = createMetrics({ service: 'test' });
  const book = createPreferenceBook({
    store: {
      async ofUsers(users: readonly User[]) {
        if (isHanging) await new Promise(() => {});
        if (isFailing) throw new Error('Postgres is away');
        return users.flatMap(({ tenant_id, user_id }) => {
          const preferences = rows.get(user_id);
          if (preferences === undefined) return [];
          const readable = preferences === 'unreadable' ? undefined : preferences;
          return [{ user: { tenant_id, user_id }, preferences: readable }];
        });
      },
      async seen() {},
    },
    log: { debug() {}, info() {}, warn: (...said: unknown[]) => void warnings.push(said), error() {} },
    metrics,
    now: () => at,
    waitMs: 5,
  });
  const principal: Principal = {
    tenant_id: randomUUIDv7(),
    user_id: randomUUIDv7(),
    roles: ['customer'],
    session_id: randomUUIDv7(),
    token_id: randomUUIDv7(),
    issued_at: 0,
    expires_at: Number.MAX_SAFE_INTEGER,
  };
  return {
    ...{ book, metrics, principal, rows, warnings },
    fail: (is: boolean) => {
      isFailing = is;
    },
    hang: () => {
      isHanging = true;
    },
    pass: (ms: number) => {
      at += ms;
    },
  };
}

function aChange({ tenant_id, user_id }: User, version: number, rules: Rules, from: number) {
  const preferences = { ...rules, version, updated_at: new Date(from).toISOString() };
  return { event_type: 'notification_preferences_changed', tenant_id, user_id, preferences };
}

function anEntry(kind: string, createdAt: number, whileStaff = false): Entry {
  const about = { kind, createdAt, whileStaff };
  return {
    ...{ topic: 1, partition: 0, offset: 0, tenant: 't', user: 'u', key: 'u', id: 'e', traceparent: '' },
    ...{ receivedAt: 0, bytes: 0, isKept: true, sockets: 0, sse: 0 },
    content: { state: 'ready', tail: Buffer.alloc(0), eventType: 'notification_created', about },
  };
}
