import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { changedHeaders, lockedChanges, ownHeaders, withEventId, withNewId } from './edit-rules.ts';
import type { StoredHeaders } from './letter.ts';
import { maskOf } from './letter-view.ts';

const mask = maskOf(['authorization']);
const headers: StoredHeaders = {
  id: { t: 'e1' },
  tenant_id: { t: 't1' },
  user_id: { t: 'u1' },
  event_type: { t: 'order_created' },
  authorization: { t: 'secret' },
  note: { t: 'a' },
  bytes: { b: '/w==' },
  'original-topic': { t: 'orders.v1' },
  'error-code': { t: 'boom' },
};
const value = {
  event_id: 'e1',
  event_type: 'order_created',
  tenant_id: 't1',
  user_id: 'u1',
  order: { id: 'o1', tenant_id: 't1', user_id: 'u1', total: 5, items: [{ product_id: 'p1' }] },
};
const locks = { key: 'o1', headers };

describe('editing headers', () => {
  const change = (changes: Record<string, string | null>) => changedHeaders(headers, changes, mask);

  it('sets, adds and takes away what is not locked, and keeps the rest', () => {
    assert.deepEqual(change({ note: 'b', extra: 'c', bytes: null }), {
      headers: withoutBytes({ ...headers, note: { t: 'b' }, extra: { t: 'c' } }),
    });
  });

  it('refuses each change of a locked header, by its path', () => {
    const changes = {
      id: 'e9',
      tenant_id: 't2',
      user_id: null,
      event_type: 'order_eaten',
      'original-topic': 'x',
      'error-code': null,
      'inbox-id': 'i',
      'edited-from': 'e0',
      'parked-record': '1',
      'x-ragline-failpoint': 'crash',
      '__streams.errors.topic': 'x',
    };
    assert.deepEqual(change(changes), {
      errors: Object.keys(changes).map((name) => ({ path: `headers.${name}`, message: 'is locked' })),
    });
  });

  it('lets a failpoint be taken away', () => {
    const before = { 'x-ragline-failpoint': { t: 'fail' } };
    assert.deepEqual(
      changedHeaders(before, { 'x-ragline-failpoint': null }, () => false),
      { headers: {} },
    );
  });

  it('takes locked headers that come back as they were shown', () => {
    assert.deepEqual(change({ id: 'e1', tenant_id: 't1', deaths: null }), { headers });
    assert.deepEqual(changedHeaders(headers, { bytes: { base64: '/w==' } }, mask), { headers });
  });

  it('leaves a sensitive header untouched when its mask is sent back, and replaces it by another text', () => {
    assert.deepEqual(change({ authorization: '***' }), { headers });
    assert.deepEqual(change({ authorization: 'new' }), {
      headers: { ...headers, authorization: { t: 'new' } },
    });
  });

  it('keeps a header named __proto__ a header, and bounds number and size', () => {
    const hostile = changedHeaders({}, JSON.parse('{"__proto__":"x"}'), mask);
    assert.ok('headers' in hostile && Object.hasOwn(hostile.headers, '__proto__'));
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`h${n}`, 'x']));
    assert.ok('errors' in change(many));
    assert.ok('errors' in change({ big: 'x'.repeat(70_000) }));
  });

  it("tells the record's own headers from those that were added when it was put aside", () => {
    assert.deepEqual(Object.keys(ownHeaders(headers)), [
      'id',
      'tenant_id',
      'user_id',
      'event_type',
      'authorization',
      'note',
      'bytes',
    ]);
  });
});

describe('editing a value', () => {
  it('lets through what is not locked', () => {
    assert.deepEqual(lockedChanges(value, { ...value, order: { ...value.order, total: 6 } }, locks), []);
  });

  for (const [path, edited] of [
    ['value.tenant_id', { ...value, tenant_id: 't2' }],
    ['value.user_id', { ...value, user_id: 'u2' }],
    ['value.event_type', { ...value, event_type: 'order_cancelled' }],
    ['value.event_id', { ...value, event_id: 'e2' }],
    ['value.order.tenant_id', { ...value, order: { ...value.order, tenant_id: 't2' } }],
    ['value.order.user_id', { ...value, order: { ...value.order, user_id: 'u2' } }],
    ['value.order.id', { ...value, order: { ...value.order, id: 'o2' } }],
    [
      'value.order.items.1.tenant_id',
      { ...value, order: { ...value.order, items: [{ product_id: 'p1' }, { tenant_id: 't2' }] } },
    ],
  ] as const) {
    it(`refuses a change of ${path}`, () => {
      assert.deepEqual(lockedChanges(value, edited, locks), [{ path, message: 'is locked' }]);
    });
  }

  it('refuses a value that lacks what is locked', () => {
    const paths = lockedChanges(value, {}, locks).map(({ path }) => path);
    for (const path of ['value.tenant_id', 'value.user_id', 'value.event_type', 'value.order.tenant_id'])
      assert.ok(paths.includes(path), path);
    assert.ok(lockedChanges(value, null, locks).length > 0);
  });

  it('is not fooled by a prototype that carries the locked fields', () => {
    const { tenant_id: _, ...rest } = value;
    const hostile = JSON.parse(JSON.stringify(rest).replace('{', '{"__proto__":{"tenant_id":"t2"},'));
    assert.ok(lockedChanges(value, hostile, locks).some(({ path }) => path === 'value.tenant_id'));
  });

  it('goes by the headers where the old value cannot be read', () => {
    assert.deepEqual(lockedChanges(undefined, value, locks), []);
    assert.deepEqual(
      lockedChanges(undefined, { ...value, tenant_id: 't2' }, locks).map(({ path }) => path),
      ['value.tenant_id'],
    );
    assert.deepEqual(lockedChanges(undefined, value, { key: null, headers: {} }), []);
  });
});

describe("an edited record's ids", () => {
  it('are new in header and value, and the first one is kept', () => {
    assert.deepEqual(withEventId(value, 'e2'), { ...value, event_id: 'e2' });
    assert.equal(withEventId(5, 'e2'), 5);
    const { id, 'edited-from': from } = withNewId(headers, 'e2', 'e1');
    assert.deepEqual([id, from], [{ t: 'e2' }, { t: 'e1' }]);
  });
});

function withoutBytes({ bytes: _, ...rest }: StoredHeaders): StoredHeaders {
  return rest;
}
