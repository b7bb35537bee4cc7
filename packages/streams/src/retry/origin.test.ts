import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { ConsumedRecord, RawHeaders } from '../record.ts';
import { newTask, type Task } from '../task.ts';
import { originalOf, returnedTask } from './origin.ts';
import { claimedBy } from './tiers.ts';

const origin = {
  'original-topic': 'orders.v1',
  'original-partition': '2',
  'original-offset': '41',
  'original-timestamp': '2026-01-01T00:00:00.000Z',
};

describe('a record that comes back', () => {
  it('is the one that was first met, with its own bytes', () => {
    const record = aRecord(origin);
    const { topic, partition, offset, timestamp, value } = originalOf(record);
    assert.deepEqual([topic, partition, offset, timestamp], ['orders.v1', 2, '41', Date.parse('2026-01-01')]);
    assert.equal(value, record.value);
  });

  it('is itself where its headers name no place', () => {
    for (const headers of [
      {},
      { ...origin, 'original-offset': '-1' },
      { ...origin, 'original-partition': 'x' },
    ]) {
      const record = aRecord(headers);
      assert.equal(originalOf(record), record);
    }
  });

  it('counts its attempts on, and keeps when it first failed', () => {
    const firstFailed = '2026-01-01T00:00:01.000Z';
    const task = returnedTask(aRecord({ ...origin, attempt: '3', 'first-failed-at': firstFailed }), 5);
    assert.deepEqual([task.attempt, task.firstFailedAt], [4, Date.parse(firstFailed)]);
    assert.equal(returnedTask(aRecord({ attempt: 'many' }), 5).attempt, 1);
  });

  it('is known by its event’s id, and by its address too when it could not be read before', () => {
    const address = 'at:orders.v1/2/41';
    const unread = taskOf(aRecord(origin));
    assert.deepEqual(claimedBy(unread, true).inbox_ids, [address]);
    const event = { event_id: 'e', tenant_id: 't' };
    assert.deepEqual(claimedBy({ ...unread, identity: event }, true).inbox_ids, ['e']);
    const readNow = { ...taskOf(aRecord({ ...origin, 'inbox-id': address })), identity: event };
    assert.deepEqual(claimedBy(readNow, true).inbox_ids, [address, 'e']);
    const restored = { ...taskOf(aRecord({ ...origin, 'inbox-id': 'restored:1' })), identity: event };
    assert.deepEqual(claimedBy(restored, true), { event_id: 'e', inbox_ids: ['restored:1'] });
  });

  it('is believed in topics of the group alone', () => {
    const forged = taskOf(aRecord({ ...origin, 'inbox-id': 'at:orders.v1/2/41' }));
    assert.deepEqual(claimedBy(forged, false).inbox_ids, ['at:test.retry.60s/0/7']);
  });
});

function aRecord(headers: RawHeaders): ConsumedRecord {
  const place = { topic: 'test.retry.60s', partition: 0, offset: '7', timestamp: 9 };
  return { ...place, key: null, value: Buffer.from('bytes'), headers };
}

function taskOf(record: ConsumedRecord): Task<never> {
  return newTask<never>(record, 0);
}
