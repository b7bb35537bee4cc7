import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createBreaker } from '@ragline/runtime/breaker';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import { describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { openScene, type Scene } from '../testing.ts';
import { tierTopicOf } from './names.ts';

describe('a group whose records are not at fault', function () {
  this.timeout(60_000);

  it('spends no attempt while a dependency is away, puts nothing aside, and keeps order through it', async () => {
    await inScene({ partitions: 2, delaysMs: [100] }, async (scene) => {
      const metrics = createMetrics({ service: 'test' });
      let isAway = true;
      let refusals = 0;
      const breaker = createBreaker({
        name: 'maps',
        metrics,
        timeoutMs: 1_000,
        openMs: 500,
        async call() {
          if (!isAway) return;
          refusals += 1;
          throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
        },
      });
      const attempts = new Set<number>();
      const handled: { key: string; offset: number; partition: number }[] = [];
      await scene.start({
        codec: scene.codec,
        async handle({ key, partition, offset }, { attempt, once }) {
          attempts.add(attempt);
          await breaker.fire();
          await once(async () => handled.push({ key: key ?? '', partition, offset: Number(offset) }));
          return 'handled';
        },
      });
      await scene.send(Array.from({ length: 60 }, (_, i) => scene.anEvent({}, `key-${i % 6}`)));
      await eventually(() => assert.equal(breaker.state(), 'open'), { withinMs: 20_000 });
      // It is asked again each time the breaker lets one call through.
      const seen = refusals;
      await eventually(() => assert.ok(refusals >= seen + 3), { withinMs: 20_000 });
      assert.equal(handled.length, 0);
      isAway = false;
      await eventually(() => assert.equal(handled.length, 60), { withinMs: 20_000 });
      assert.deepEqual([...attempts], [1]);
      for (const [key, ofKey] of Map.groupBy(handled, (it) => it.key)) {
        const offsets = ofKey.map(({ offset }) => offset);
        assert.deepEqual(
          offsets,
          offsets.toSorted((a, b) => a - b),
          key,
        );
      }
      assert.equal(await recordsOf(scene, deadLetterTopicOf(scene.groupId)), 0);
      breaker.stop();
    });
  });

  const tenants = Array.from({ length: 4 }, () => randomUUID());
  for (const order of ['none', 'by-key'] as const) {
    it(`waits when most of what it tries fails, and goes on by itself when it works (order ${order})`, async () => {
      await inScene({ partitions: 2, delaysMs: [60_000] }, async (scene) => {
        const metrics = createMetrics({ service: 'test' });
        const health = createHealth();
        let isBroken = true;
        const handled = new Set<string>();
        const outcomes: string[] = [];
        await scene.start(
          {
            codec: scene.codec,
            async handle({ event_id }) {
              if (isBroken) throw new TypeError('a bad release');
              handled.add(event_id);
              return 'handled';
            },
          },
          {
            order,
            metrics,
            health,
            floodGuard: { share: 0.5, windowMs: 10_000, least: 20, probeMs: 300 },
            onFinished: ({ outcome }) => outcomes.push(outcome),
          },
        );
        const records = Array.from({ length: 200 }, (_, i) => scene.anEvent({ tenant_id: tenants[i % 4] }));
        const sentAt = Date.now();
        await scene.send(records);
        await eventually(async () =>
          assert.match(await metrics.text(), /ragline_consumer_flooded\{[^}]*\} 1\n/),
        );
        const { status, details } = await health.ready();
        assert.equal(status, 'ready');
        assert.match(Object.values(details ?? {}).join(), /most of what it tried has failed/);

        isBroken = false;
        const shutForMs = Date.now() - sentAt;
        const aside = () => outcomes.filter((it) => it === 'retried' || it === 'parked').length;
        await eventually(() => assert.equal(handled.size + aside(), records.length), { withinMs: 20_000 });
        // What failed before there was enough to tell was put aside, and since then what probed.
        assert.ok(aside() >= 19 && aside() <= 20 + shutForMs / 300, `${aside()} in ${shutForMs} ms`);
        assert.match(await metrics.text(), /ragline_consumer_flooded\{[^}]*\} 0\n/);
        assert.equal((await health.ready()).details, undefined);
        assert.equal(await recordsOf(scene, deadLetterTopicOf(scene.groupId)), 0);
        if (order === 'none')
          assert.equal(await recordsOf(scene, tierTopicOf(scene.groupId, 60_000)), aside());
      });
    });
  }

  it('fails a handler that does not end, and rolls back what it wrote', async () => {
    await inScene({ partitions: 1, delaysMs: [100] }, async (scene) => {
      const attempts: number[] = [];
      const aborted: boolean[] = [];
      await scene.start(
        {
          codec: scene.codec,
          async handle({ event_id }, { attempt, signal, once }) {
            attempts.push(attempt);
            signal.addEventListener('abort', () => aborted.push(true));
            await once(async (client) => {
              // A row of its own, which must not be there when the next attempt runs.
              const { rows } = await client.query('SELECT outcome FROM streams.inbox_fate($1, $2)', [
                scene.groupId,
                `effect:${event_id}`,
              ]);
              assert.deepEqual(rows, []);
              await client.query('SELECT streams.close_inbox($1, $2)', [
                scene.groupId,
                [`effect:${event_id}`],
              ]);
              if (attempt === 1) await new Promise(() => {});
            });
            return 'handled';
          },
        },
        { handlerDeadlineMs: 300 },
      );
      await scene.send([scene.anEvent()]);
      await eventually(() => assert.deepEqual([attempts, aborted], [[1, 2], [true]]));
      await eventually(async () => {
        const { rows } = await scene.notes(
          'SELECT count(*)::int AS n FROM streams.inbox WHERE group_id = $1',
        );
        assert.deepEqual(rows, [{ n: 2 }]);
      });
    });
  });
});

async function recordsOf(scene: Scene, topic: string): Promise<number> {
  const ends = await scene.admin.fetchTopicOffsets(topic);
  return ends.reduce((sum, { high }) => sum + Number(high), 0);
}

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
