import assert from 'node:assert/strict';
import type { TailClient } from '@ragline/streams/tail-client';
import type { TailRecord } from '@ragline/streams/tail-records';
import { describe, it } from 'mocha';
import { judgeOf } from './judge.ts';
import { findRecords, hasArrived } from './records.ts';

const user = '01a20000-0000-7000-8000-000000000001';
const address = 'anna@mine.example';
const idOf = (offset: number) => `01a20000-0000-7000-8000-${String(offset).padStart(12, '0')}`;

describe('records about a person', () => {
  const judge = judgeOf(user, [user], [address]);
  const find = (records: TailRecord[], known: (id: string) => boolean, topic = 'catalog.v1', cut = 0) =>
    findRecords({
      client: clientOf(records, cut),
      topics: [topic],
      judge,
      isThere: async () => true,
      isKnown: async (ids) => new Set(ids.filter(known)),
    });

  it('are told from events of ours in which the tenant names the person: those are not to be cut', async () => {
    const records = [
      aRecord(0, { value: 'soup' }),
      aRecord(1, { value: `ask ${address}` }),
      aRecord(2, { user }),
    ];
    const { hits, own } = await find(records, () => true);
    assert.deepEqual(hits, []);
    assert.deepEqual(
      own.map(({ topic, partition, first, last, records: count }) => [topic, partition, first, last, count]),
      [['catalog.v1', 0, 1, 1, 1]],
    );
  });

  it('are whatever no outbox has, however many events are between them', async () => {
    const records = Array.from({ length: 1_203 }, (_, offset) => aRecord(offset, { user }));
    const { hits, own } = await find(records, (id) => id !== idOf(3) && id !== idOf(1_202));
    assert.deepEqual(own, []);
    assert.deepEqual(
      hits.map(({ first, last, records: count }) => [first, last, count]),
      [[3, 1_202, 2]],
    );
  });

  it('are read on behind what retention takes meanwhile', async () => {
    const records = Array.from({ length: 10 }, (_, offset) => aRecord(offset, { user }));
    const { hits } = await find(records, () => false, 'notifications.dlq', 7);
    assert.deepEqual(
      hits.map(({ first, last, records: count }) => [first, last, count]),
      [[7, 9, 3]],
    );
  });

  it('are none on a topic that is deleted before it is read; one that is there and cannot be read is an error', async () => {
    const client = { ...clientOf([]), plan: async () => assert.fail('not known') };
    const parts = { client, topics: ['gone'], judge, isKnown: async () => new Set<string>() };
    assert.deepEqual(await findRecords({ ...parts, isThere: async () => false }), { hits: [], own: [] });
    await assert.rejects(findRecords({ ...parts, isThere: async () => true }), /not known/);
  });

  it('have arrived, or have not within the time', async () => {
    const client = clientOf([aRecord(0, {}), aRecord(1, {})]);
    assert.equal(await hasArrived(client, 'identity.revocations.v1', idOf(1), 0), true);
    assert.equal(await hasArrived(client, 'identity.revocations.v1', idOf(2), 0), false);
  });

  function aRecord(offset: number, of: { value?: string; user?: string }): TailRecord {
    const headers = { id: idOf(offset), ...(of.user && { user_id: of.user }) };
    return {
      ...{ offset, timestamp: 1_000 + offset, key: null, value: Buffer.from(of.value ?? '?') },
      headers: Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
    };
  }

  /** One partition; `cut`: retention takes what is before it, once the ends were asked for. */
  function clientOf(records: TailRecord[], cut = 0): TailClient {
    let isCut = false;
    return {
      plan: async (topic) => ({ topic, id: 'an-id', epoch: 1, leaders: [0] }),
      startOffsets: async () => [isCut ? cut : 0],
      stableEndOffsets: async () => [records.length],
      endOffsets: async () => [records.length],
      offsetsAt: async () => [0],
      async fetch(_, [wanted]) {
        const from = wanted?.offsets.get(0) ?? 0;
        isCut = true;
        const error = from < cut ? 1 : 0;
        const found = error === 0 ? records.filter(({ offset }) => offset >= from).slice(0, 100) : [];
        const next = found.at(-1) === undefined ? undefined : (found.at(-1)?.offset ?? 0) + 1;
        return [
          { topic: '', partition: 0, error, records: found, next, logStart: cut, stableEnd: records.length },
        ];
      },
      close: async () => {},
    };
  }
});
