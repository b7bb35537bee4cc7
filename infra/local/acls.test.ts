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
    .filter((it) => it.resource === 'topic' && it.denied !== true && it.operations.includes('write'))
    .map((it) => it.name);

describe('rights on Kafka', () => {
  it('let Connect alone write what comes from outboxes', () => {
    assert.ok(mayWrite('connect').includes('orders.v1'));
    for (const user of ['identity', 'orders']) assert.deepEqual(mayWrite(user), []);
  });

  it('let a group write its own dead letters and no other group’s', () => {
    assert.deepEqual(mayWrite('notifications'), ['notifications.dlq']);
  });

  it('give nobody a right on everything but the reader of dead letters, whose topics are known by their ending', () => {
    const entries = aclEntries(rights);
    const wide = entries.filter(
      ({ resourceName, principal }) => resourceName === '*' || principal === 'User:*',
    );
    assert.deepEqual([...new Set(wide.map(({ principal }) => principal))], ['User:dead-letters']);
    assert.ok(entries.length > 20);
  });

  it('keep the reader of dead letters away from every topic that is known to be something else', () => {
    const denied = (rights['dead-letters'] ?? []).filter((it) => it.denied);
    const may = (name: string, operation: 'read' | 'write') =>
      !denied.some(
        (it) =>
          (it.match === 'literal' ? it.name === name : name.startsWith(it.name)) &&
          it.operations.includes(operation),
      );
    for (const name of ['orders.v1', 'notifications.v1', '_connect.heartbeat', '__consumer_offsets']) {
      assert.deepEqual([may(name, 'read'), may(name, 'write')], [false, false], name);
    }
    assert.deepEqual([may('chat.dlq', 'read'), may('chat.dlq', 'write')], [true, false]);
    assert.deepEqual([may('chat.retry.60s', 'read'), may('chat.retry.60s', 'write')], [true, false]);
    assert.deepEqual([may('chat.replay', 'read'), may('chat.replay', 'write')], [true, true]);
  });
});
