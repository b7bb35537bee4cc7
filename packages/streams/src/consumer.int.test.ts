import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { UnavailableError } from './errors.ts';
import type { DecodedEvent } from './record.ts';
import { openScene, type Scene } from './testing.ts';

describe('a member of a consumer group', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene.close());

  it('goes on within the producer’s trace', async () => {
    const seen: string[] = [];
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const own = await openScene({ partitions: 1 });
    try {
      const record = own.anEvent();
      await own.send([{ ...record, headers: { ...record.headers, traceparent } }]);
      await own.start({
        codec: own.codec,
        async handle(event) {
          seen.push(event.headers.traceparent ?? '', currentTraceparent().split('-')[1] ?? '');
          return 'handled';
        },
      });
      await eventually(() => assert.deepEqual(seen, [traceparent, '4bf92f3577b34da6a3ce929d0e0e4736']));
    } finally {
      await own.close();
    }
  });

  it('keeps its membership, and other keys flowing, while a handler runs past the session timeout and a partition waits', async () => {
    const metrics = createMetrics({ service: 'test' });
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const done: string[] = [];
    let refusals = 0;
    const slow = scene.anEvent();
    // All of one partition, by its key; the waits between seven refusals add up to twelve seconds.
    const away = scene.anEvent();
    const handle = async (event: DecodedEvent) => {
      if (event.event_id === slow.event.event_id) await gate;
      if (event.event_id === away.event.event_id && refusals < 7) {
        refusals += 1;
        throw new UnavailableError('away for a while');
      }
      done.push(event.event_id);
      return 'handled';
    };
    const running = await scene.start({ codec: scene.codec, handle }, { metrics });
    await scene.send([slow, away]);
    await eventually(() => assert.ok(refusals > 0));
    const others = Array.from({ length: 30 }, () => scene.anEvent());
    await scene.send(others);
    await eventually(() => assert.equal(refusals, 7), { withinMs: 20_000 });
    await eventually(() => assert.ok(done.includes(away.event.event_id)));
    // Everything but the slow one is done; its own key alone has waited.
    await eventually(() => assert.equal(done.length, others.length + 1));
    open();
    await eventually(() => assert.ok(done.includes(slow.event.event_id)));
    assert.equal(new Set(done).size, done.length);
    assert.match(await metrics.text(), /ragline_consumer_joins_total\{[^}]*\} 1\n/);
    await running.stop();
  });

  it('tries what fails again after each wait while others flow, gives it up, and goes on with its key', async () => {
    const own = await openScene({ partitions: 1, delaysMs: [200, 400] });
    try {
      const attempts: number[] = [];
      const handled: string[] = [];
      const failing = own.anEvent();
      const follower = own.anEvent({}, String(failing.key));
      const other = own.anEvent();
      await own.start(
        {
          codec: own.codec,
          async handle(event, { attempt }) {
            if (event.event_id !== failing.event.event_id) {
              handled.push(event.event_id);
              return 'handled';
            }
            attempts.push(attempt);
            throw new TypeError('a bug of the handler');
          },
        },
        { deadHead: 'skip' },
      );
      await own.send([failing, follower, other]);
      await eventually(() => assert.deepEqual(handled, [other.event.event_id, follower.event.event_id]));
      assert.deepEqual(attempts, [1, 2, 3]);
      const [letter] = await own.letters(1);
      assert.ok(letter);
      assert.deepEqual(letter.value, failing.value);
      assert.equal(String(letter.headers.attempt), '3');
      assert.equal(String(letter.headers['error-code']), 'handler_failed');
      assert.equal(String(letter.headers['error-class']), 'TypeError');
      const [first, last] = ['first-failed-at', 'failed-at'].map((name) =>
        Date.parse(String(letter.headers[name])),
      );
      assert.ok(first !== undefined && last !== undefined && last > first);
    } finally {
      await own.close();
    }
  });

  it('finishes what is begun when it stops, commits it, and begins nothing more', async () => {
    const own = await openScene({ partitions: 1 });
    try {
      const begun: string[] = [];
      const finished: string[] = [];
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const records = Array.from({ length: 5 }, () => own.anEvent({}, 'one-key'));
      await own.send(records);
      const running = await own.start({
        codec: own.codec,
        async handle(event) {
          begun.push(event.offset);
          await gate;
          finished.push(event.offset);
          return 'handled';
        },
      });
      await eventually(() => assert.equal(begun.length, 1));
      const stopped = running.stop();
      open();
      await stopped;
      assert.deepEqual([begun, finished], [['0'], ['0']]);
      assert.deepEqual(await own.committed(), ['1']);
      // The next member goes on from there.
      const rest: string[] = [];
      await own.start({
        codec: own.codec,
        async handle(event) {
          rest.push(event.offset);
          return 'handled';
        },
      });
      await eventually(() => assert.deepEqual(rest, ['1', '2', '3', '4']));
    } finally {
      await own.close();
    }
  });

  it('steps over the markers of transactions and over what was aborted', async () => {
    const own = await openScene({ partitions: 1 });
    try {
      const handled: string[] = [];
      await own.start({
        codec: own.codec,
        async handle(event) {
          handled.push(event.event_id);
          return 'handled';
        },
      });
      const sender = own.kafka.producer({
        transactionalId: own.groupId,
        maxInFlightRequests: 1,
        idempotent: true,
      });
      await sender.connect();
      const expected: string[] = [];
      for (const fate of ['commit', 'abort', 'abort', 'commit', 'abort'] as const) {
        const records = [own.anEvent(), own.anEvent()];
        const transaction = await sender.transaction();
        await transaction.send({ topic: own.topic, messages: records });
        await transaction[fate]();
        if (fate === 'commit') expected.push(...records.map(({ event }) => event.event_id));
      }
      await sender.disconnect();
      await eventually(() => assert.deepEqual(handled.sort(), expected.sort()));
      // Ten records and five markers: nothing is left behind, though the last of them are no records.
      await eventually(async () => assert.deepEqual(await own.committed(), ['15']));
    } finally {
      await own.close();
    }
  });

  it('gives raw handlers the bytes, whatever they are', async () => {
    const own = await openScene({ partitions: 1 });
    try {
      const values: (Buffer | null)[] = [];
      const sent = [Buffer.from('not avro'), null, Buffer.alloc(0)];
      await own.send(sent.map((value) => ({ key: null, value })));
      await own.start({
        async handleRaw(record) {
          values.push(record.value);
          return 'kept';
        },
      });
      await eventually(() => assert.equal(values.length, 3));
      assert.deepEqual(new Set(values.map(String)), new Set(sent.map(String)));
    } finally {
      await own.close();
    }
  });
});
