import assert from 'node:assert/strict';
import { createCursorSealer } from '@ragline/streams/cursor';
import type { FetchedPartition } from '@ragline/streams/tail-records';
import { describe, it } from 'mocha';
import { createLiveCore, type LiveLimits } from './core.ts';
import type { Outlet, Selector } from './subscription.ts';

const sealer = createCursorSealer({ keys: '1:a secret of this test' });
const everything = [{ topic: 0, channel: 'orders', kind: 'tenant' }] as const;

describe('the core of the live plane', () => {
  it('writes nothing after a close has begun', async () => {
    const scene = aScene();
    const client = scene.client();
    client.outlet.isOpen = false;
    await scene.core.ingest([records(0, 2)]);
    assert.equal(client.types().includes('event'), false);
  });

  it('says something of new rights only when they differ from the old ones', async () => {
    const scene = aScene();
    const { subscription, types } = scene.client();
    assert.ok(subscription);
    scene.core.reselect(subscription, [...everything]);
    await scene.settle();
    assert.deepEqual(types(), ['cursor']);
    scene.core.reselect(subscription, [{ topic: 0, channel: 'orders', kind: 'user', user: 'u' }]);
    await scene.settle();
    assert.deepEqual(types(), ['cursor', 'recovered', 'cursor']);
  });

  it('does not decode what nobody wants', async () => {
    const scene = aScene();
    await scene.core.ingest([records(0, 5)]);
    assert.equal(scene.decodes(), 0);
    scene.client();
    await scene.core.ingest([records(5, 2)]);
    assert.equal(scene.decodes(), 2);
  });

  it('keeps within its bounds of number and bytes, and raises the floor', async () => {
    const few = aScene({ ringEntries: 3 });
    await few.core.ingest([records(0, 10)]);
    assert.equal(few.core.ring.stats().entries, 3);
    assert.deepEqual(few.core.topics[0]?.floor, [7]);
    const small = aScene({ ringBytes: 2_000 });
    await small.core.ingest([records(0, 100)]);
    assert.ok(small.core.ring.stats().bytes <= 2_000);
  });

  it('counts bytes the same whether records were decoded or not', async () => {
    const scene = aScene({ ringEntries: 4 });
    scene.client();
    await scene.core.ingest([records(0, 50)]);
    scene.core.ring.drop(() => true);
    assert.equal(scene.core.ring.stats().bytes, 0);
  });

  it('tells a gap when the cursor knows fewer topics than are asked for, and takes what it knows of them', async () => {
    const scene = aScene({}, ['orders', 'notifications', 'conversations']);
    await scene.core.ingest([records(0, 5)]);
    // Of before there were conversations: two topics, of which one is asked for, then all.
    const older = sealer.seal([
      { epoch: 7, next: [3] },
      { epoch: 8, next: [0] },
    ]);
    const same = scene.client(older);
    await scene.settle();
    assert.deepEqual([same.gaps(), same.types().filter((it) => it === 'event').length], [[], 2]);
    const more = scene.client(older, [
      ...everything,
      { topic: 2, channel: 'conversation:c', kind: 'owned', key: 'c', user: 'u' },
    ]);
    assert.deepEqual(more.gaps(), ['epoch_changed', 'epoch_changed']);
    await scene.core.ingest([records(5, 1)]);
    assert.equal(more.types().at(-1), 'event');
  });

  it('tells a gap when the cursor is of another epoch, too old, or beyond the end of Kafka', async () => {
    const scene = aScene({ ringEntries: 2 });
    await scene.core.ingest([records(600_000, 10)]);
    const since = (epoch: number, next: number) => sealer.seal([{ epoch, next: [next] }]);
    assert.deepEqual(scene.client(since(8, 1)).gaps(), ['epoch_changed']);
    const old = scene.client(since(7, 1));
    await scene.settle();
    assert.deepEqual(old.gaps(), ['too_old']);
    const beyond = scene.client(since(7, 900_000));
    await scene.settle();
    assert.deepEqual(beyond.gaps(), ['truncated']);
  });

  it('asks Kafka once for all whose cursors are ahead', async () => {
    const scene = aScene();
    const ahead = sealer.seal([{ epoch: 7, next: [900_000] }]);
    const clients = Array.from({ length: 50 }, () => scene.client(ahead));
    await scene.settle(100_000);
    for (const client of clients) assert.deepEqual(client.gaps(), ['truncated']);
    assert.ok(scene.endsAsked() < 5, `asked ${scene.endsAsked()} times`);
  });

  it('waits for a cursor that is ahead of this instance alone', async () => {
    const scene = aScene();
    await scene.core.ingest([records(0, 3)]);
    const client = scene.client(sealer.seal([{ epoch: 7, next: [5] }]));
    await scene.settle(10);
    assert.deepEqual(client.types(), []);
    await scene.core.ingest([records(3, 4)]);
    await scene.settle(10);
    assert.deepEqual(client.types(), ['event', 'event', 'recovered', 'cursor']);
  });

  it('gives up a replay that Kafka does not answer for long', async () => {
    const scene = aScene({ ringEntries: 1 });
    await scene.core.ingest([records(0, 10)]);
    const client = scene.client(sealer.seal([{ epoch: 7, next: [1] }]));
    await scene.settle(500);
    assert.deepEqual(client.gaps(), ['unavailable']);
  });

  it('forgets everything of a topic that was made anew', async () => {
    const scene = aScene();
    const client = scene.client();
    await scene.core.ingest([records(0, 3)]);
    scene.core.opened('orders', { epoch: 8, next: [0], isRecreated: true });
    assert.deepEqual(client.gaps(), ['epoch_changed']);
    assert.equal(scene.core.ring.stats().entries, 0);
    await scene.core.ingest([records(0, 1)]);
    assert.equal(client.types().at(-1), 'event');
  });
});

/** Topics of one partition, of which Kafka has 800,000 records and answers no replay; their epochs count from 7. */
function aScene(limits: Partial<LiveLimits> = {}, topics = ['orders']) {
  const due: (() => void)[] = [];
  let now = 0;
  let decodes = 0;
  let endsAsked = 0;
  const core = createLiveCore({
    topics,
    sealer,
    decode: (value) => {
      decodes += 1;
      return JSON.parse(value.toString());
    },
    clock: {
      now: () => now,
      soon: (run) => void due.push(run),
      after: (ms, run) =>
        void due.push(() => {
          now += ms;
          run();
        }),
    },
    read: async () => Promise.reject(new Error('Kafka is away')),
    endOffsets: async () => {
      endsAsked += 1;
      return [800_000];
    },
    limits,
  });
  for (const [index, name] of topics.entries()) {
    core.opened(name, { epoch: 7 + index, next: [0], isRecreated: false });
  }
  return {
    core,
    decodes: () => decodes,
    endsAsked: () => endsAsked,
    async settle(steps = 1_000) {
      for (let i = 0; i < steps; i += 1) {
        due.shift()?.();
        await Promise.resolve();
        await Promise.resolve();
        await Promise.resolve();
      }
    },
    client(since?: string, selectors: readonly Selector[] = everything) {
      const messages: { type: string; reason?: string }[] = [];
      const outlet: Outlet = {
        format: 'ws',
        isOpen: true,
        draining: undefined,
        blockedSince: undefined,
        socket: {
          writableLength: 0,
          once() {},
          write(chunk: Buffer) {
            for (let at = 0; at < chunk.length; ) {
              const short = chunk[at + 1] ?? 0;
              const head = short < 126 ? 2 : 4;
              const size = head === 2 ? short : chunk.readUInt16BE(at + 2);
              messages.push(JSON.parse(chunk.toString('utf8', at + head, at + head + size)));
              at += head + size;
            }
            return true;
          },
        },
      };
      const subscription = core.subscribe(outlet, 't', selectors, { since, onBadCursor: 'refuse' });
      return {
        outlet,
        subscription,
        types: () => messages.map((it) => it.type),
        gaps: () => messages.filter((it) => it.type === 'gap').map((it) => it.reason),
      };
    },
  };
}

function records(from: number, count: number): FetchedPartition {
  const value = { event_id: 'e', event_type: 'happened', occurred_at: 'now', tenant_id: 't', user_id: 'u' };
  return {
    topic: 'orders',
    partition: 0,
    error: 0,
    next: from + count,
    logStart: 0,
    stableEnd: from + count,
    records: Array.from({ length: count }, (_, i) => ({
      offset: from + i,
      timestamp: 0,
      key: Buffer.from('k'),
      value: Buffer.from(JSON.stringify(value)),
      headers: [[Buffer.from('tenant_id'), Buffer.from('t')]] as const,
    })),
  };
}
