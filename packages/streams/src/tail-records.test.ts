import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { fetchedPartitions } from './tail-records.ts';

type Response = Parameters<typeof fetchedPartitions>[0];
type Partition = Response['responses'][number]['partitions'][number];
type Batch = NonNullable<Partition['records']>[number];

describe('the records of a fetch answer', () => {
  it('are stepped over with their markers, so that the position reaches the end', () => {
    const [fetched] = read({ records: [data(0, 3, 7n), marker(3, 7n, 'commit')] });
    assert.deepEqual(offsetsOf(fetched), [0, 1, 2]);
    assert.equal(fetched?.next, 4);
  });

  it('lack those of an aborted transaction whose marker is not in the answer', () => {
    const [fetched] = read({ records: [data(5, 2, 7n)], aborted: [[7n, 5n]] });
    assert.deepEqual(offsetsOf(fetched), []);
    assert.equal(fetched?.next, 7);
  });

  it('lack both aborted transactions of one producer, and keep the one it committed between them', () => {
    const [fetched] = read({
      records: [
        data(0, 2, 7n),
        marker(2, 7n, 'abort'),
        data(3, 2, 7n),
        marker(5, 7n, 'commit'),
        data(6, 2, 7n),
        marker(8, 7n, 'abort'),
        data(9, 1, -1n, false),
      ],
      aborted: [
        [7n, 6n],
        [7n, 0n],
      ],
    });
    assert.deepEqual(offsetsOf(fetched), [3, 4, 9]);
  });

  it('keep what another producer wrote meanwhile', () => {
    const [fetched] = read({
      records: [data(0, 1, 7n), data(1, 1, 8n), marker(2, 7n, 'abort'), marker(3, 8n, 'commit')],
      aborted: [[7n, 0n]],
    });
    assert.deepEqual(offsetsOf(fetched), [1]);
  });

  it('have no position when there is no batch', () => {
    const [fetched] = read({ records: null });
    assert.equal(fetched?.next, undefined);
  });
});

function read({ records, aborted = [] }: { records: Batch[] | null; aborted?: [bigint, bigint][] }) {
  const partition: Partition = {
    partitionIndex: 0,
    errorCode: 0,
    highWatermark: 9n,
    lastStableOffset: 9n,
    logStartOffset: 0n,
    preferredReadReplica: -1,
    records,
    abortedTransactions: aborted.map(([producerId, firstOffset]) => ({ producerId, firstOffset })),
  };
  const response = {
    throttleTimeMs: 0,
    errorCode: 0,
    sessionId: 0,
    responses: [{ topicId: 'id', partitions: [partition] }],
  };
  return fetchedPartitions(response, (id) => (id === 'id' ? 'orders.v1' : undefined));
}

function data(first: number, count: number, producerId: bigint, transactional = true): Batch {
  const records = Array.from({ length: count }, (_, offsetDelta) => ({
    length: 0,
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta,
    key: null,
    value: Buffer.from('v'),
    headers: [],
  }));
  return batch({
    firstOffset: BigInt(first),
    lastOffsetDelta: count - 1,
    producerId,
    attributes: transactional ? 16 : 0,
    records,
  });
}

function marker(offset: number, producerId: bigint, kind: 'abort' | 'commit'): Batch {
  const key = Buffer.from([0, 0, 0, kind === 'commit' ? 1 : 0]);
  const records = [
    {
      length: 0,
      attributes: 0,
      timestampDelta: 0n,
      offsetDelta: 0,
      key,
      value: Buffer.alloc(6),
      headers: [],
    },
  ];
  return batch({ firstOffset: BigInt(offset), lastOffsetDelta: 0, producerId, attributes: 16 | 32, records });
}

function batch(
  own: Pick<Batch, 'firstOffset' | 'lastOffsetDelta' | 'producerId' | 'attributes' | 'records'>,
): Batch {
  return {
    length: 0,
    partitionLeaderEpoch: 0,
    magic: 2,
    crc: 0,
    firstTimestamp: 0n,
    maxTimestamp: 0n,
    producerEpoch: 0,
    firstSequence: 0,
    ...own,
  };
}

function offsetsOf(fetched: ReturnType<typeof read>[number] | undefined) {
  return fetched?.records.map((record) => record.offset);
}
