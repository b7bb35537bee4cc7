import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { aclEntries, rightsOf } from './acls.ts';

const rights = rightsOf({
  fromOutbox: ['orders.v1', 'notifications.v1'],
  directOf: { chat: ['chat.events.v1', 'llm.calls.v1'] },
  ofConnect: ['_connect.heartbeat'],
  deadLettersOf: {
    notifications: 'notifications.dlq',
    webhooks: 'webhooks.dlq',
    chat: 'chat.dlq',
    'chat-index': 'chat-index.dlq',
  },
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
    assert.deepEqual(mayWrite('notifications'), ['notifications.dlq', 'webhooks.dlq']);
    assert.deepEqual(
      mayWrite('chat').filter((name) => name.endsWith('.dlq')),
      ['chat.dlq', 'chat-index.dlq'],
    );
  });

  it('let the chat service alone write what has no outbox behind it', () => {
    for (const name of ['chat.events.v1', 'llm.calls.v1']) {
      const writers = Object.keys(rights).filter((user) => mayWrite(user).includes(name));
      assert.deepEqual(writers, ['chat'], name);
    }
  });

  it('let nobody but the chat service read what was asked of models, and notifications what was answered', () => {
    const readersOf = (name: string) =>
      Object.keys(rights).filter((user) =>
        (rights[user] ?? []).some((it) => !it.denied && it.name === name && it.operations.includes('read')),
      );
    assert.deepEqual(readersOf('llm.calls.v1'), ['chat']);
    assert.deepEqual(readersOf('chat.events.v1'), ['notifications', 'chat']);
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
    for (const name of [
      'orders.v1',
      'notifications.v1',
      'chat.events.v1',
      '_connect.heartbeat',
      '__consumer_offsets',
    ]) {
      assert.deepEqual([may(name, 'read'), may(name, 'write')], [false, false], name);
    }
    assert.deepEqual([may('chat.dlq', 'read'), may('chat.dlq', 'write')], [true, false]);
    assert.deepEqual([may('chat.retry.60s', 'read'), may('chat.retry.60s', 'write')], [true, false]);
    assert.deepEqual([may('chat.replay', 'read'), may('chat.replay', 'write')], [true, true]);
  });
});
