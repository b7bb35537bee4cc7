import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { defaultPolicy } from './after-failure.ts';
import { createAssignment } from './assignment.ts';
import type { FetchedBatch } from './member.ts';
import { createPartitionRun } from './partition.ts';
import type { ConsumedRecord } from './record.ts';
import { createSlots } from './slots.ts';

describe('an assignment', () => {
  it('commits what is handled, once', async () => {
    const { assignment, take } = aGroup();
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 3));
    const offsets = { topics: [{ topic: 'orders.v1', partitions: [{ partition: 0, offset: '3' }] }] };
    assert.deepEqual(assignment.uncommitted(), offsets);
    assignment.committed(offsets);
    assert.deepEqual(assignment.uncommitted(), { topics: [] });
  });

  it('drops a batch of a partition that is another member’s now, and does not move on behind it', async () => {
    const { assignment, take, moved } = aGroup();
    assignment.join({ 'orders.v1': [0] });
    assignment.join({ 'orders.v1': [1] });
    assert.equal(await take(aBatch(0n, 3)), 'dropped');
    assert.deepEqual([moved, assignment.uncommitted()], [[], { topics: [] }]);
  });

  it('drops a batch that was waiting while the group joined anew', async () => {
    const { assignment, take, handled, answer } = aGroup({ isSlow: true });
    assignment.join({ 'orders.v1': [0] });
    const early = take(aBatch(0n, 3));
    assignment.join({ 'orders.v1': [0] });
    answer();
    assert.equal(await early, 'dropped');
    assert.deepEqual(handled, []);
  });

  it('reads again from the committed offset when a batch of an earlier join lies beyond it', async () => {
    const { assignment, take, moved } = aGroup({ committed: 5n });
    assignment.join({ 'orders.v1': [0] });
    assert.equal(await take(aBatch(9n, 2)), 'rewind to 5');
    assert.deepEqual(moved, []);
    assert.equal(await take(aBatch(5n, 6)), 'taken');
  });

  it('commits nothing of an earlier assignment, although its handlers finish later', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { assignment, take } = aGroup({ handler: () => gate });
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 3), false);
    const [before] = assignment.runs();
    assignment.join({ 'orders.v1': [1] });
    open();
    await before?.settled();
    assert.equal(before?.committable(), 1n);
    assert.deepEqual(assignment.uncommitted(), { topics: [] });
  });

  it('lets a key’s next record wait for a handler that began under the last assignment', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const order: string[] = [];
    let calls = 0;
    const { assignment, take } = aGroup({
      async handler() {
        const call = ++calls;
        order.push(`${call} begins`);
        if (call === 1) await gate;
        order.push(`${call} ends`);
      },
    });
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 1), false);
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 1), false);
    assert.deepEqual(order, ['1 begins']);
    open();
    await assignment.runs()[0]?.idle();
    assert.deepEqual(order, ['1 begins', '1 ends', '2 begins', '2 ends']);
  });

  it('skips nothing unfinished when a batch comes twice', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { assignment, take } = aGroup({ committed: 0n, handler: () => gate });
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 3), false);
    await take(aBatch(3n, 1), false);
    assert.equal(await take(aBatch(3n, 3)), 'rewind to 0');
    open();
    assert.equal(await take(aBatch(0n, 6)), 'taken');
    assert.deepEqual(assignment.uncommitted().topics[0]?.partitions, [{ partition: 0, offset: '6' }]);
  });

  it('acquires again what a late riser has fenced, once the group says that it is still ours', async () => {
    const { assignment, take, opened } = aGroup({ committed: 5n });
    assignment.join({ 'orders.v1': [0] });
    assert.equal(await take(aBatch(5n, 3)), 'taken');
    assignment.fenced('orders.v1', 0);
    assignment.runs()[0]?.end();
    assert.deepEqual(opened, [0]);
    assignment.confirmed();
    // Where the member stands now is not where the group has committed.
    assert.equal(await take(aBatch(8n, 1)), 'rewind to 5');
    assert.equal(await take(aBatch(5n, 3)), 'taken');
    assert.deepEqual(opened, [0, 0]);
    assignment.confirmed();
    assert.deepEqual(opened, [0, 0]);
  });

  it('leaves what was fenced to the next owner when the group joins anew', async () => {
    const { assignment, opened } = aGroup({ committed: 5n });
    assignment.join({ 'orders.v1': [0] });
    assignment.fenced('orders.v1', 0);
    assignment.join({});
    assignment.confirmed();
    assert.deepEqual([opened, assignment.runs()], [[], []]);
  });

  it('steps over entries that hold no records', async () => {
    const { assignment, take } = aGroup({ committed: 0n });
    assignment.join({ 'orders.v1': [0] });
    await take(aBatch(0n, 2));
    await assignment.skip('orders.v1', 0, 2n, 3n);
    assert.equal(await take(aBatch(3n, 1)), 'taken');
    assert.deepEqual(assignment.uncommitted().topics[0]?.partitions, [{ partition: 0, offset: '4' }]);
  });
});

function aGroup(options: { committed?: bigint; isSlow?: boolean; handler?: () => Promise<unknown> } = {}) {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const handled: string[] = [];
  const moved: string[] = [];
  const opened: number[] = [];
  const assignment = createAssignment({
    makeRun: (topic, partition) =>
      createPartitionRun<ConsumedRecord>({
        topic,
        partition,
        order: 'by-key',
        work: {
          admit: (record) => record,
          identityOf: () => undefined,
          async one({ offset }) {
            await options.handler?.();
            handled.push(offset);
            return 'handled';
          },
          many: undefined,
        },
        slots: createSlots(4),
        aside: {
          open: async () => void opened.push(partition),
          waits: () => false,
          append: async () => [],
          setAside: async () => 'dead-lettered',
          claim: () => ({
            once: async () => assert.fail('not asked for'),
            onceBatch: async () => assert.fail('not asked for'),
            async settle() {},
          }),
          close: async () => {},
        },
        policy: defaultPolicy,
        onFenced() {},
        onFinished() {},
        onFetching() {},
        log: { debug() {}, info() {}, warn() {}, error() {} },
        random: () => 0,
        batchMax: 10,
      }),
    async committedOffsets() {
      if (options.isSlow) await answered;
      return new Map([[0, options.committed]]);
    },
    onGone() {},
  });

  const take = async (batch: FetchedBatch, waits = true): Promise<string> => {
    const result = await assignment.take(batch, () => void moved.push(String(batch.next)));
    if (result.kind === 'rewind') return `rewind to ${result.at}`;
    if (result.kind === 'taken' && waits) await result.run.idle();
    return result.kind;
  };
  return { assignment, take, handled, moved, opened, answer };
}

function aBatch(from: bigint, count: number): FetchedBatch {
  const place = { topic: 'orders.v1', partition: 0 };
  const records = Array.from({ length: count }, (_, at) => ({
    ...place,
    offset: String(from + BigInt(at)),
    key: Buffer.from('a'),
    value: null,
    headers: {},
    timestamp: 0,
  }));
  const next = from + BigInt(count);
  return { ...place, records, from, next, highWatermark: next };
}
