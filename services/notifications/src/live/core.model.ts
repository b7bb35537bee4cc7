/**
 * A model for tests: two instances that read the same log in different interleavings, and clients with
 * narrow sockets that break off and come back to either instance with what they last saw.
 */
import assert from 'node:assert/strict';
import { createCursorSealer } from '@ragline/streams/cursor';
import type { FetchedPartition } from '@ragline/streams/tail-records';
import { createLiveCore, type LiveCore } from './core.ts';
import type { Format } from './frames.ts';
import { type Log, names, partitions, type Random, type Written } from './log.model.ts';
import type { Filter, Outlet, Selector, Subscription } from './subscription.ts';

const sealer = createCursorSealer({ keys: '1:a secret of the model' });

export type Instance = { core: LiveCore; step(): void; advance(): void; isAtEnd(): boolean; check(): void };

/** An instance over the log; `advance` reads some of it, `step` lets its timers and turns run. */
export function createInstance(log: Log, random: Random, behindEnd: number): Instance {
  const due: (() => void)[] = [];
  let now = 0;
  let isIngesting = false;
  const core = createLiveCore({
    topics: names,
    sealer,
    decode: (value) => JSON.parse(value.toString()),
    clock: {
      now: () => {
        now += random() < 0.2 ? 1 : 0;
        return now;
      },
      soon: (run) => void due.push(run),
      after: (ms, run) =>
        void due.push(() => {
          now += ms;
          run();
        }),
    },
    read: async (topic, offsets) =>
      [...offsets].map(([partition, from]) =>
        log.fetch(topic.index, partition, from, 1 + Math.floor(random() * 30)),
      ),
    endOffsets: async (topic) => (log.logs[topic.index] ?? []).map((it) => it.length),
    limits: { ringEntries: 4 + Math.floor(random() * 40), softLimitBytes: 1_500, sliceWrites: 2 },
  });
  for (const [topic, n] of partitions.entries()) {
    const next = Array.from({ length: n }, (_, p) => Math.max(0, log.end(topic, p) - behindEnd));
    core.opened(names[topic] ?? '', { epoch: 7 + topic, next, isRecreated: false });
  }

  return {
    core,
    /** Anything that is due, in any order: timers, turns, slices. */
    step() {
      const at = Math.floor(random() * due.length);
      const [run] = due.splice(at, 1);
      run?.();
    },
    advance() {
      if (isIngesting) return;
      const fetched: FetchedPartition[] = [];
      for (const { index, next } of core.topics) {
        for (const [partition, from] of next.entries()) {
          if (random() < 0.5) continue;
          const part = log.fetch(index, partition, from, 1 + Math.floor(random() * 6));
          // The tail itself leaves out what lies before its position.
          const records = part.records.filter((record) => record.offset >= from);
          if (part.next !== undefined) fetched.push({ ...part, records });
        }
      }
      fetched.sort(() => random() - 0.5);
      isIngesting = true;
      void core.ingest(fetched).finally(() => {
        isIngesting = false;
      });
    },
    isAtEnd: () =>
      !isIngesting &&
      core.topics.every(({ index, next }) => next.every((offset, p) => offset >= log.end(index, p))),
    /** Invariant: every record from the floor to the instance's place is in the ring. */
    check() {
      for (const { index, floor, next } of core.topics) {
        for (const [partition, from] of floor.entries()) {
          for (let offset = from; offset < (next[partition] ?? 0); offset += 1) {
            const written = log.logs[index]?.[partition]?.[offset];
            if (written !== undefined)
              assert.ok(core.ring.find(written.id), `${written.id} is missing in the ring`);
          }
        }
      }
    },
  };
}

/** What a client may have, said independently of the code under test. */
export type Rights = {
  tenant: string;
  selectors: Selector[];
  mayHave: (written: Written) => boolean;
  /** What of it the client wants, by the event's id; all when there is no such wish. */
  wants?: (id: string) => boolean;
};

export function createClient(log: Log, rights: Rights, format: Format, name: string) {
  const received: string[] = [];
  const owed: string[] = [];
  let cursor: string | undefined;
  let connection:
    | { instance: Instance; outlet: Outlet; subscription: Subscription; sent: Buffer[] }
    | undefined;
  let baseline: number[][] | undefined;

  function take(bytes: Buffer): void {
    for (const message of format === 'ws' ? readFrames(bytes) : readChunks(bytes)) {
      assert.notEqual(message.type, 'gap', `${name}: a gap (${message.reason}) though nothing was lost`);
      if (message.cursor !== undefined) {
        assertForward(cursor, message.cursor, name);
        cursor = message.cursor;
      }
      if (message.type === 'event' && message.id !== undefined) received.push(message.id);
    }
  }

  return {
    isConnected: () => connection !== undefined,
    connect(instance: Instance): void {
      const sent: Buffer[] = [];
      const outlet: Outlet = {
        format,
        isOpen: true,
        draining: undefined,
        blockedSince: undefined,
        socket: {
          once() {},
          get writableLength() {
            return sent.reduce((sum, it) => sum + it.length, 0);
          },
          write(chunk: Buffer) {
            sent.push(chunk);
            return this.writableLength < 1_000;
          },
        },
      };
      if (cursor === undefined) {
        // Nothing was ever received, so nothing is owed from before.
        baseline = instance.core.topics.map((topic) => [...topic.next]);
        received.length = 0;
      }
      const filter = rights.wants && wishOf(rights.wants);
      const how = { since: cursor, onBadCursor: 'refuse' as const, filter };
      const subscription = instance.core.subscribe(outlet, rights.tenant, rights.selectors, how);
      assert.ok(subscription, `${name}: its cursor was refused`);
      connection = { instance, outlet, subscription, sent };
    },
    /** Reads one write of the server, or the first part of it only and breaks off. */
    read(): void {
      const chunk = connection?.sent.shift();
      if (chunk !== undefined) take(chunk);
      if (connection && connection.sent.length === 0) connection.instance.core.drained(connection.outlet);
    },
    breakOff(random: Random): void {
      if (connection === undefined) return;
      const chunk = connection.sent.shift();
      if (chunk !== undefined) take(chunk.subarray(0, Math.floor(random() * chunk.length)));
      connection.outlet.isOpen = false;
      connection.instance.core.unsubscribe(connection.subscription);
      connection = undefined;
    },
    beat(): void {
      connection?.instance.core.heartbeat(connection.subscription);
    },
    pending: () => (connection?.sent.length ?? 0) + (connection?.subscription.behind === null ? 0 : 1),
    /** Every entitled record since the first subscription: once each, in order per key. */
    check(): void {
      owed.length = 0;
      const order = new Map<string, number>();
      const keyOf = new Map<string, string>();
      for (const topic of log.logs.keys()) {
        for (const [partition, records] of (log.logs[topic] ?? []).entries()) {
          for (const written of records) {
            if (written === undefined || !rights.mayHave(written)) continue;
            if (rights.wants?.(written.id) === false) continue;
            if (written.offset < (baseline?.[topic]?.[partition] ?? 0)) continue;
            owed.push(written.id);
            order.set(written.id, written.offset);
            keyOf.set(written.id, `${topic}/${written.key}`);
          }
        }
      }
      const count = new Map<string, number>();
      for (const id of received) count.set(id, (count.get(id) ?? 0) + 1);
      for (const id of received) {
        assert.ok(order.has(id), `${name}: ${id} is none of its business`);
        assert.equal(count.get(id), 1, `${name}: ${id} came ${count.get(id)} times`);
      }
      for (const id of owed) assert.ok(count.has(id), `${name}: ${id} was lost`);
      const last = new Map<string, number>();
      for (const id of received) {
        const key = keyOf.get(id) ?? '';
        const offset = order.get(id) ?? 0;
        assert.ok(offset > (last.get(key) ?? -1), `${name}: ${id} is out of order`);
        last.set(key, offset);
      }
    },
    count: () => received.length,
  };
}

function wishOf(wants: (id: string) => boolean): Filter {
  let isOver = false;
  return {
    admits(entry) {
      assert.ok(!isOver, 'a filter was asked after its end');
      return wants(entry.id);
    },
    release() {
      assert.ok(!isOver, 'a filter was released twice');
      isOver = true;
    },
  };
}

export type Client = ReturnType<typeof createClient>;

type Message = { type: string; cursor?: string; id?: string; reason?: string };

function assertForward(before: string | undefined, after: string, name: string): void {
  const from = sealer.open(before ?? after);
  const to = sealer.open(after);
  assert.ok(to !== undefined && from?.length === to.length, `${name}: a cursor that does not open`);
  for (const [i, { next }] of to.entries()) {
    for (const [p, offset] of next.entries()) {
      assert.ok(offset >= (from[i]?.next[p] ?? 0), `${name}: a cursor went back`);
    }
  }
}

/** Whole frames only: what was cut off in the middle was never seen. */
function readFrames(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = bytes[at + 1] ?? 0;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + head > bytes.length) break;
    const size =
      head === 2 ? short : head === 4 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (at + head + size > bytes.length) break;
    messages.push(JSON.parse(bytes.toString('utf8', at + head, at + head + size)));
    at += head + size;
  }
  return messages;
}

/** SSE as EventSource reads it: an event counts when its empty line has come, and then its id is the last one. */
function readChunks(bytes: Buffer): Message[] {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) break;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    text += bytes.toString('utf8', lineEnd + 2, Math.min(bytes.length, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  const messages: Message[] = [];
  for (const block of text.split('\n\n').slice(0, -1)) {
    const fields = new Map(
      block.split('\n').map((line) => [line.split(': ', 1)[0] ?? '', line.replace(/^\w+: /, '')]),
    );
    const data = JSON.parse(fields.get('data') ?? '{}');
    const cursor = fields.get('id');
    messages.push({
      ...data,
      type: data.type ?? fields.get('event'),
      ...(cursor === undefined ? {} : { cursor }),
    });
  }
  return messages;
}
