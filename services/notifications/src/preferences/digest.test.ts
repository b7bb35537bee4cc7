import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { countedMax, digestTitle, windowId } from './digest.ts';
import { createSettled } from './settled.ts';

const user = {
  tenant_id: '019a0000-0000-7000-8000-000000000001',
  user_id: '019a0000-0000-7000-8000-000000000002',
};

describe('a digest', () => {
  it('says how many of what', () => {
    const title = digestTitle([
      { audience: 'user', kind: 'order_created', count: 1 },
      { audience: 'staff', kind: 'order_created', count: 1_234 },
      { audience: 'user', kind: 'refund_made', count: 2 },
    ]);
    assert.equal(title, '1 order of yours was received, 1,234 new orders, 2 other notifications');
  });

  it('says nothing of nothing, and "at least" of what was not counted to its end', () => {
    assert.equal(digestTitle([]), undefined);
    const title = digestTitle([{ audience: 'staff', kind: 'order_created', count: countedMax }]);
    assert.equal(title, 'At least: 10,000 new orders');
  });

  it('has an id by its user and window alone, which is a UUIDv7 of its beginning', () => {
    const id = windowId(user, 1_790_000_000_000);
    assert.equal(id, windowId({ ...user }, 1_790_000_000_000));
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.replace('-', '').slice(0, 12), 16), 1_790_000_000_000);
    assert.notEqual(id, windowId(user, 1_790_000_000_001));
    assert.notEqual(id, windowId({ ...user, tenant_id: user.user_id }, 1_790_000_000_000));
  });

  it('waits until every transaction of before is over, but not for ever', () => {
    const settle = createSettled();
    assert.equal(settle({ at: 1_000, oldest: 5n, next: 9n }), 0);
    assert.equal(settle({ at: 2_000, oldest: 8n, next: 9n }), 0);
    assert.equal(settle({ at: 3_000, oldest: 9n, next: 12n }), 2_000);
    assert.equal(settle({ at: 4_000, oldest: 12n, next: 12n }), 4_000);
    assert.equal(settle({ at: 5_000, oldest: 12n, next: 13n }), 4_000);
    assert.equal(settle({ at: 36_000, oldest: 12n, next: 14n }), 5_000);
  });
});
