import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { FetchedPartition, TailRecord } from '@ragline/streams/tail-records';
import { describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import type { ShownEvent } from './event.ts';
import { createReplayer } from './replayer.ts';
import { createSubscription } from './subscription.ts';

const topic = 'events';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const nobody = { tenant_id: 't', user_id: 'u' };

/** One partition, whose records belong to the conversations in turn. */
function aLog(conversations: string[], { start = 0, end = 100, answerMax = 10 } = {}) {
  let fetches = 0;
  let underWay = 0;
  let failures = 0;
  const reads: number[] = [];
  const keyOf = (offset: number) => conversations[offset % conversations.length] ?? '';
  return {
    reads,
    fetches: () => fetches,
    fail(times: number): void {
      failures = times;
    },
    /** As the client does: two at a time spoil each other's session. */
    async read(_topic: string, _epoch: number, offsets: ReadonlyMap<number, number>) {
      fetches += 1;
      underWay += 1;
      try {
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(underWay, 1, 'two fetches at a time');
        if (failures > 0) {
          failures -= 1;
          throw new Error('no broker');
        }
        return [...offsets].map(([partition, from]): FetchedPartition => {
          reads.push(from);
          const base = { topic, partition, logStart: start, stableEnd: end };
          if (from < start) return { ...base, error: 1, records: [], next: undefined };
          const count = Math.max(0, Math.min(answerMax, end - from));
          const records = Array.from({ length: count }, (_, i): TailRecord => {
            const offset = from + i;
            const value = Buffer.from(String(offset));
            return { offset, timestamp: 0, key: Buffer.from(keyOf(offset)), value, headers: [] };
          });
          return { ...base, error: 0, records, next: count === 0 ? undefined : from + count };
        });
      } finally {
        underWay -= 1;
      }
    },
  };
}

function scene(log: ReturnType<typeof aLog>, { giveUpMs = 10_000, bytesMax = 1_000_000 } = {}) {
  const replayer = createReplayer({
    ...{ topic, log: quiet, retryMs: 1, giveUpMs, reader: log },
    decoded: async ({ offset, key }): Promise<ShownEvent> => ({
      ...{ ...nobody, conversation_id: String(key), event_id: randomUUIDv7(), event_type: 'message_delta' },
      ...{ occurred_at: '2026-01-01T00:00:00.000Z', turn_id: 'turn', message_id: 'm' },
      ...{ generation: 1, sequence: offset + 1 },
    }),
  });
  return {
    replayer,
    back(conversation_id: string, next: number, until = 100) {
      const address = { ...nobody, conversation_id };
      const subscription = createSubscription(address, { isWanted: () => true, bytesMax, onClose() {} });
      subscription.begin({ epoch: 1, next, last: undefined });
      subscription.holdBack();
      replayer.add(subscription, { partition: 0, epoch: 1, next, until });
      return subscription;
    },
  };
}

/** Offsets of what is taken, until it is live. */
async function taken(subscription: ReturnType<typeof createSubscription>): Promise<(number | string)[]> {
  const all: (number | string)[] = [];
  for (;;) {
    const item = await subscription.take(2);
    if (item.kind === 'event') all.push(item.event.sequence - 1);
    else if (item.kind === 'gap') all.push(item.reason);
    else if (item.kind === 'closed' || subscription.isEmpty()) return all;
  }
}

const every = (step: number, from: number, until = 100) =>
  Array.from({ length: until }, (_, offset) => offset).filter(
    (it) => it >= from && it % step === from % step,
  );

describe('readers who come back', () => {
  it('at the same moment are brought up to date by one sweep, whatever each has missed', async () => {
    const conversations = Array.from({ length: 50 }, (_, i) => `c${i}`);
    const log = aLog(conversations);
    const { back } = scene(log);
    const readers = conversations.map((conversation, i) => back(conversation, i));
    for (const [i, reader] of readers.entries()) assert.deepEqual(await taken(reader), every(50, i));
    // Each record is read about once, not once for everybody.
    assert.ok(log.fetches() <= 12, `${log.fetches()} fetches`);
  });

  it('miss nothing when Kafka fails for a while', async () => {
    const log = aLog(['a', 'b']);
    log.fail(3);
    const { back } = scene(log);
    assert.deepEqual(await taken(back('b', 51)), every(2, 51));
  });

  it('are told of a gap when Kafka is away for long, and are live', async () => {
    const log = aLog(['a']);
    log.fail(Number.POSITIVE_INFINITY);
    const { back, replayer } = scene(log, { giveUpMs: 5 });
    assert.deepEqual(await taken(back('a', 0)), ['unavailable']);
    assert.equal(replayer.waiting(), 0);
  });

  it('are told of a gap for what is kept no longer, and the others are not', async () => {
    const { back } = scene(aLog(['a', 'b'], { start: 40 }));
    const [early, late] = [back('a', 30), back('b', 91)];
    assert.deepEqual(await taken(early), ['expired']);
    assert.deepEqual(await taken(late), every(2, 91));
  });

  it('get more than may wait for one at a time, as they take it', async () => {
    const { back } = scene(aLog(['a'], { end: 1_000, answerMax: 500 }), { bytesMax: 5_000 });
    assert.deepEqual(await taken(back('a', 0, 1_000)), every(1, 0, 1_000));
  });

  it('do not wait for who is far behind, nor for who does not read', async () => {
    const log = aLog(['a', 'b', 'c'], { end: 100_000 });
    const { back, replayer } = scene(log, { bytesMax: 5_000 });
    const [far, idle] = [back('a', 0, 99_999), back('b', 1, 99_999)];
    assert.deepEqual(await taken(back('c', 99_900, 99_999)), every(3, 99_902, 99_999));
    assert.ok(log.fetches() < 100, `${log.fetches()} fetches`);
    assert.ok(far.isCatchingUp() && idle.isCatchingUp());
    for (const it of [far, idle]) it.close('closed');
    await eventually(() => replayer.waiting() === 0);
  });
});
