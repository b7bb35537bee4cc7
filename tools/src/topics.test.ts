import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { rightsOf, topicNames } from '../../infra/local/acls.ts';
import { grantedBy, topicsOfGroup } from './topics.ts';

describe('the topics of a group', () => {
  const names = (options: Parameters<typeof topicsOfGroup>[1]) =>
    topicsOfGroup('billing', options).map(({ name }) => name);

  it('are its dead letters alone where it keeps order', () => {
    assert.deepEqual(names({ partitions: '12', order: 'by-key' }), ['billing.dlq']);
  });

  it('are its tiers, what is sent back to it and its dead letters where it keeps none', () => {
    assert.deepEqual(names({ partitions: '12', order: 'none' }), [
      'billing.retry.60s',
      'billing.retry.120s',
      'billing.retry.240s',
      'billing.retry.3600s',
      'billing.replay',
      'billing.dlq',
    ]);
    assert.deepEqual(names({ partitions: '12', order: 'none', delays: '500,1000' }), [
      'billing.retry.500ms',
      'billing.retry.1s',
      'billing.replay',
      'billing.dlq',
    ]);
  });

  it('have the partitions that were asked for, and room for the added headers', () => {
    for (const topic of topicsOfGroup('billing', { partitions: '3', order: 'none' })) {
      assert.equal(topic.partitions, 3);
      assert.ok(topic.maxMessageBytes > 2 * 1024 * 1024);
    }
  });

  for (const [what, options] of [
    ['no number of partitions', { partitions: '0', order: 'by-key' }],
    ['another order', { partitions: '1', order: 'sometimes' }],
    ['delays where order is kept', { partitions: '1', order: 'by-key', delays: '1000' }],
    ['delays that are none', { partitions: '1', order: 'none', delays: 'soon' }],
  ] as const) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => topicsOfGroup('billing', options));
    });
  }
});

describe('the rights that are granted', () => {
  it('are told by user, with what is refused whatever is allowed', () => {
    const rows = grantedBy(rightsOf(topicNames()));
    const of = (user: string, name: string) => rows.filter((row) => row.user === user && row.name === name);
    assert.deepEqual(
      of('identity', 'orders.v1').map(({ may, operations }) => [may, operations]),
      [['yes', ['read', 'describe']]],
    );
    assert.deepEqual(
      of('identity', 'identity*').map(({ resource }) => resource),
      ['group'],
    );
    assert.deepEqual(
      of('dead-letters', 'orders.v1').map(({ may }) => may),
      ['never'],
    );
  });
});
