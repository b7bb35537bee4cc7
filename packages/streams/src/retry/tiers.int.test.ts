import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { PermanentError } from '../errors.ts';
import { type DecodedEvent, textHeaders } from '../record.ts';
import { openScene, type Scene } from '../testing.ts';
import { replayTopicOf, tierTopicOf } from './names.ts';

describe('a group without order', function () {
  this.timeout(90_000);

  it('tries what fails again after each wait, never early, and gives it up with its bytes and what is known of it', async () => {
    const delaysMs = [300, 700];
    await inScene({ partitions: 3, delaysMs }, async (scene) => {
      const at: number[] = [];
      const attempts: number[] = [];
      const seen = new Set<string>();
      const record = { ...scene.anEvent(), partition: 2 };
      await scene.start(
        {
          codec: scene.codec,
          async handle({ topic, partition, offset }, { attempt }) {
            at.push(Date.now());
            attempts.push(attempt);
            seen.add(`${topic}/${partition}/${offset}`);
            throw new TypeError('a bug of the handler');
          },
        },
        { order: 'none' },
      );
      await scene.send([record]);
      const [letter] = await scene.letters(1);
      assert.ok(letter);
      assert.deepEqual(attempts, [1, 2, 3]);
      // The handler is told where the record was first met, whichever topic it came from.
      assert.deepEqual([...seen], [`${scene.topic}/2/0`]);
      const waited = delaysMs.map((_, i) => (at[i + 1] ?? 0) - (at[i] ?? 0));
      for (const [i, delayMs] of delaysMs.entries())
        assert.ok((waited[i] ?? 0) >= delayMs, `tier ${i} was early`);

      const first = await scene.read(tierTopicOf(scene.groupId, 300), 1);
      const second = await scene.read(tierTopicOf(scene.groupId, 700), 1);
      for (const { key, value, partition } of [...first, ...second]) {
        assert.deepEqual([key?.toString(), value, partition], [record.key, record.value, 2]);
      }
      assert.deepEqual([letter.key?.toString(), letter.value], [record.key, record.value]);
      const added = withoutTimes(textHeaders(letter.headers));
      const { stack, ...rest } = added;
      assert.match(String(stack), /^TypeError: a bug of the handler\n {4}at /);
      assert.deepEqual(rest, {
        ...record.headers,
        'original-topic': scene.topic,
        'original-partition': '2',
        'original-offset': '0',
        'original-group': scene.groupId,
        attempt: '3',
        'error-code': 'handler_failed',
        'error-class': 'TypeError',
        'error-message': 'a bug of the handler',
        'inbox-id': record.event.event_id,
      });
      const [one, two] = [first, second].map(([it]) => textHeaders(it?.headers ?? {}));
      assert.deepEqual([one?.attempt, two?.attempt], ['1', '2']);
      assert.equal(two?.['first-failed-at'], one?.['first-failed-at']);
      assert.equal(textHeaders(letter.headers)['first-failed-at'], one?.['first-failed-at']);
    });
  });

  it('holds back nothing behind what waits, and goes on with it after a restart and a rebalance', async () => {
    await inScene({ partitions: 2, delaysMs: [4_000] }, async (scene) => {
      const tried = new Map<string, number[]>();
      const handled = new Set<string>();
      const handle = async (event: DecodedEvent, { attempt }: { attempt: number }) => {
        tried.set(event.event_id, [...(tried.get(event.event_id) ?? []), attempt]);
        if (attempt === 1 && Number(event.offset) % 2 === 0) throw new Error('not the first time');
        handled.add(event.event_id);
        return 'handled';
      };
      const records = Array.from({ length: 40 }, (_, i) => ({ ...scene.anEvent(), partition: i % 2 }));
      const first = await scene.start({ codec: scene.codec, handle }, { order: 'none' });
      await scene.send(records);
      await eventually(() => assert.equal(handled.size, 20));
      await eventually(async () => {
        const waiting = await scene.admin.fetchTopicOffsets(tierTopicOf(scene.groupId, 4_000));
        assert.equal(
          waiting.reduce((sum, { high }) => sum + Number(high), 0),
          20,
        );
      });
      // All of it waits in Kafka now.
      await first.stop();
      await scene.start({ codec: scene.codec, handle }, { order: 'none' });
      await scene.start({ codec: scene.codec, handle }, { order: 'none' });
      await eventually(() => assert.equal(handled.size, 40), { withinMs: 20_000 });
      for (const [id, attempts] of tried)
        assert.ok(attempts.at(-1) === attempts.length, `${id}: ${attempts}`);
    });
  });

  it('handles an effect once, also when its record is there twice', async () => {
    await inScene({ partitions: 1, delaysMs: [200] }, async (scene) => {
      const effects: string[] = [];
      const outcomes: string[] = [];
      await scene.start(
        {
          codec: scene.codec,
          async handle(event, { once }) {
            const done = await once(async () => effects.push(event.event_id));
            return done === undefined ? 'duplicate' : 'handled';
          },
        },
        { order: 'none', onFinished: ({ outcome }) => outcomes.push(outcome) },
      );
      const record = scene.anEvent();
      await scene.send([record, record]);
      await scene.producer.send(tierTopicOf(scene.groupId, 200), [{ ...record, partition: 0 }]);
      await eventually(() => assert.deepEqual(outcomes.sort(), ['duplicate', 'duplicate', 'handled']));
      assert.deepEqual(effects, [record.event.event_id]);
    });
  });

  it('tries what an operator sends back once, without the tiers', async () => {
    await inScene({ partitions: 1, delaysMs: [100, 100] }, async (scene) => {
      const attempts: number[] = [];
      await scene.start(
        {
          codec: scene.codec,
          async handle(_event, { attempt }) {
            attempts.push(attempt);
            throw new Error('still wrong');
          },
        },
        { order: 'none' },
      );
      await scene.send([scene.anEvent()]);
      const [letter] = await scene.letters(1);
      assert.ok(letter);
      await scene.producer.send(replayTopicOf(scene.groupId), [
        { ...letter, headers: headersOf(letter), partition: 0 },
      ]);
      const [, again] = await scene.letters(2);
      assert.deepEqual(attempts, [1, 2, 3, 4]);
      assert.ok(again);
      const [before, after] = [letter, again].map(({ headers }) => textHeaders(headers));
      assert.equal(after?.attempt, '4');
      for (const name of [
        'original-topic',
        'original-partition',
        'original-offset',
        'first-failed-at',
        'inbox-id',
      ]) {
        assert.equal(after?.[name], before?.[name], name);
      }
    });
  });

  it('gives up at once what never can work, and sends each error where its routes say', async () => {
    await inScene({ partitions: 1, delaysMs: [60_000] }, async (scene) => {
      const refusals = new Map<string, number>();
      await scene.start(
        {
          codec: scene.codec,
          async handle({ headers }) {
            const kind = headers.kind ?? '';
            const count = (refusals.get(kind) ?? 0) + 1;
            refusals.set(kind, count);
            if (kind === 'permanent') throw new PermanentError('no_such_order', 'There is no such order');
            if (kind === 'range') throw new RangeError('routed to the dead letters');
            if (kind === 'limit' && count < 3) {
              throw Object.assign(new Error('routed to waiting'), { code: 'rate_limited' });
            }
            return 'handled';
          },
        },
        { order: 'none', routes: { RangeError: 'dead-letter', rate_limited: 'unavailable' } },
      );
      const withKind = (kind: string) => {
        const record = scene.anEvent();
        return { ...record, headers: { ...record.headers, kind } };
      };
      const { headers, key } = scene.anEvent();
      const garbage = { key, value: Buffer.from('garbage'), headers };
      await scene.send([withKind('permanent'), withKind('range'), garbage, withKind('limit')]);
      const letters = await scene.letters(3);
      const codes = letters.map((it) => textHeaders(it.headers)['error-code']).sort();
      assert.deepEqual(codes, ['handler_failed', 'no_such_order', 'not_confluent']);
      // What could not be read is known by its address alone.
      const unread = letters.find((it) => String(it.headers['error-code']) === 'not_confluent');
      assert.equal(String(unread?.headers['inbox-id']), `at:${scene.topic}/0/2`);
      // Waiting spent no attempt: no letter, and nothing in the tier.
      await eventually(() => assert.equal(refusals.get('limit'), 3));
    });
  });

  it('tries 1,000 records that wait when they are due, and shows how late', async () => {
    const metrics = createMetrics({ service: 'test' });
    await inScene({ partitions: 6, delaysMs: [5_000] }, async (scene) => {
      const lateMs: number[] = [];
      const failedAt = new Map<string, number>();
      await scene.start(
        {
          codec: scene.codec,
          async handle({ event_id, headers }, { attempt }) {
            if (attempt === 1) {
              failedAt.set(event_id, Date.now());
              throw new Error('not the first time');
            }
            lateMs.push(Date.now() - Date.parse(headers['not-before'] ?? ''));
            assert.ok(Date.now() - (failedAt.get(event_id) ?? 0) >= 5_000);
            return 'handled';
          },
        },
        { order: 'none', metrics, floodGuard: false, retry: { delaysMs: [5_000], jitterMs: 500 } },
      );
      await scene.send(Array.from({ length: 1_000 }, (_, i) => ({ ...scene.anEvent(), partition: i % 6 })));
      await eventually(() => assert.equal(lateMs.length, 1_000), { withinMs: 40_000 });
      lateMs.sort((a, b) => a - b);
      assert.ok((lateMs[0] ?? -1) >= 0, 'early');
      const [p50, p99, max] = [lateMs[500], lateMs[990], lateMs.at(-1)];
      process.stdout.write(`      lateness of 1,000: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms\n`);
      assert.match(
        await metrics.text(),
        /ragline_retry_lateness_seconds_count\{[^}]*tier="5s"[^}]*\} 1000\n/,
      );
    });
  });
});

async function inScene(
  options: Parameters<typeof openScene>[0],
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  const scene = await openScene(options);
  try {
    await play(scene);
  } finally {
    await scene.close();
  }
}

/** Times are checked to be times; the stack and what follows are the test's. */
function withoutTimes(headers: Record<string, string>): Record<string, string | undefined> {
  const { 'error-stack': stack, ...rest } = headers;
  for (const name of ['original-timestamp', 'not-before', 'first-failed-at', 'failed-at']) {
    assert.match(rest[name] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, name);
    delete rest[name];
  }
  return { ...rest, stack };
}

const headersOf = ({ headers }: { headers: ConsumedHeaders }) => textHeaders(headers);
type ConsumedHeaders = Parameters<typeof textHeaders>[0];
