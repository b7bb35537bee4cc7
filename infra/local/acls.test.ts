import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { aclEntries, rightsOf } from './acls.ts';

const rights = rightsOf({
  fromOutbox: ['orders.v1', 'notifications.v1'],
  ofConnect: ['_connect.heartbeat'],
  deadLettersOf: { notifications: 'notifications.dlq', chat: 'chat.dlq' },
});
const mayWrite = (user: string) =>
  (rights[user] ?? [])
    .filter((it) => it.resource === 'topic' && it.operations.includes('write'))
    .map((it) => it.name);

describe('rights on Kafka', () => {
  it('let Connect alone write what comes from outboxes', () => {
    assert.ok(mayWrite('connect').includes('orders.v1'));
    for (const user of ['identity', 'orders']) assert.deepEqual(mayWrite(user), []);
  });

  it('let a group write its own dead letters and no other group’s', () => {
    assert.deepEqual(mayWrite('notifications'), ['notifications.dlq']);
  });

  it('give nobody a right on everything', () => {
    const entries = aclEntries(rights);
    assert.ok(entries.every(({ resourceName, principal }) => resourceName !== '*' && principal !== 'User:*'));
    assert.ok(entries.length > 20);
  });
});
