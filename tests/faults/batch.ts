/** A batch replay that stops itself, dies with its service, is resumed, cancelled, and gone on with by another one. */
import assert from 'node:assert/strict';
import { anOrderEvent } from '@ragline/schemas/samples';
import { PermanentError } from '@ragline/streams/errors';
import { eventually } from '../support/eventually.ts';
import { openLettersService } from './letters-service.ts';
import { openGroup, stepOf } from './own-group.ts';

export type BatchReport = {
  order: 'by-key' | 'none';
  letters: number;
  /** Sent and failed when the first batch stopped itself, and after it had been resumed and cancelled. */
  stopped: { sent: number; failed: number };
  cancelled: { sent: number; failed: number };
  kills: number;
  /** Handler calls for a record that nothing asked for; without order a service that dies may send one again, which its inbox stops. */
  sent_twice: number;
  /** Rows of the group's inbox, and effects counted by the handler. */
  inbox: number;
  effects: number;
  resolved: number;
  keep_ms: number;
  last_batch_per_s: number;
};

const stopAfter = 10;

/** @param letters how many; 15 of them fail again at the first replay */
export async function stopResumeCancel(letters: number, order: 'by-key' | 'none'): Promise<BatchReport> {
  const events = Array.from({ length: letters }, () => anOrderEvent());
  // In the first third: most is left to do when the batch has stopped itself.
  const isStubborn = (at: number) => at < letters / 3 && at % Math.floor(letters / 45) === 7;
  const stubborn = new Set(events.filter((_, at) => isStubborn(at)).map((it) => it.order.id));
  // Slow enough that each kill finds it under way, also where the one who kills is slow.
  const pace = { in_flight: Math.floor(letters / 20), rate_per_s: letters / 20 };
  let mended: 'nothing' | 'most' | 'all' = 'nothing';
  const service = await openLettersService();
  const group = await openGroup({
    order,
    judge(event) {
      const orderId = event.schema === 'order_v1' ? event.value.order.id : '';
      const fails = mended === 'nothing' || (mended === 'most' && stubborn.has(orderId));
      if (fails) throw new PermanentError('test_broken', 'Broken on purpose');
    },
  });
  try {
    const beganAt = performance.now();
    await group.send(events);
    await eventually(
      async () => assert.equal((await service.states(group.groupId)).waiting, letters, 'letters kept'),
      { withinMs: 180_000, everyMs: 500 },
    );
    const keepMs = Math.round(performance.now() - beganAt);
    assert.equal(group.calls.size, letters);

    // The first batch stops itself: nothing more is sent after its tenth failure.
    mended = 'most';
    const first = await begin(service, group.groupId, { ...pace, stop_on_failures: stopAfter });
    const stopped = await until(service, first, 'stopped');
    assert.ok(stopped.failed >= stopAfter, JSON.stringify(stopped));
    assert.ok(stopped.sent < letters, JSON.stringify(stopped));
    const calledBy = replays(group.calls, events);
    assert.equal(calledBy, stopped.sent, 'as many handler calls as letters sent');

    // A restart changes nothing about it; resumed, it dies with its service, and goes on by itself.
    await service.kill();
    await service.start();
    assert.deepEqual(await progressOf(service, first), stopped);
    await service.ask('POST', `/v1/dead-letters/batches/${first}/resume`, {}, 200);
    await eventually(() => replays(group.calls, events) > stopped.sent, { withinMs: 120_000, everyMs: 5 });
    await service.kill();
    await service.start();
    const restarted = await progressOf(service, first);
    await eventually(async () => (await progressOf(service, first)).sent > restarted.sent, {
      withinMs: 120_000,
      everyMs: 20,
    });
    await service.ask('POST', `/v1/dead-letters/batches/${first}/cancel`, {}, 200);
    const cancelled = await until(service, first, 'cancelled');

    // The rest by another batch, with a kill in its middle; now even the stubborn ones are handled.
    mended = 'all';
    const before = replays(group.calls, events);
    const restAt = performance.now();
    const second = await begin(service, group.groupId, { in_flight: pace.in_flight });
    await eventually(() => replays(group.calls, events) > before, { withinMs: 120_000, everyMs: 5 });
    await service.kill();
    await service.start();
    await eventually(
      async () => assert.deepEqual(await service.states(group.groupId), { resolved: letters }),
      { withinMs: 180_000, everyMs: 250 },
    );
    const restMs = performance.now() - restAt;
    await until(service, second, 'done');
    const failedAgain = cancelled.failed;
    const inbox = await group.inbox();
    assert.equal(await group.parked(), 0);
    const effects = [...group.effects.values()].flat().length;
    return {
      order,
      letters,
      stopped,
      cancelled,
      kills: 3,
      sent_twice: replays(group.calls, events) - letters - failedAgain,
      inbox: inbox.handled ?? 0,
      effects,
      resolved: letters,
      keep_ms: keepMs,
      last_batch_per_s: Math.round((letters - before + failedAgain) / (restMs / 1_000)),
    };
  } finally {
    await group.close();
    await service.close();
  }
}

/** Where order is kept, not even the handler is called once more than was asked for. */
export function assertSentOnce({ order, sent_twice, inbox, effects, resolved, letters }: BatchReport): void {
  const found = { inbox, effects, resolved, sent_twice: order === 'none' ? 0 : sent_twice };
  assert.deepEqual(found, { inbox: letters, effects: letters, resolved: letters, sent_twice: 0 });
}

type Service = Awaited<ReturnType<typeof openLettersService>>;

async function begin(service: Service, groupId: string, more: object): Promise<string> {
  const { id } = await service.ask(
    'POST',
    '/v1/dead-letters/batches',
    {
      filter: { group: groupId, state: 'waiting' },
      action: 'replay',
      reason: 'mended',
      delay_s: 0,
      ...more,
    },
    202,
  );
  return id;
}

async function progressOf(service: Service, id: string): Promise<{ sent: number; failed: number }> {
  const { counts } = await service.get(`/v1/dead-letters/batches/${id}`);
  return { sent: counts.sent, failed: counts.failed };
}

/** Its progress once it is in that state and nothing is on its way any more. */
async function until(service: Service, id: string, state: string): Promise<{ sent: number; failed: number }> {
  return eventually(
    async () => {
      const batch = await service.get(`/v1/dead-letters/batches/${id}`);
      assert.equal(batch.state, state, JSON.stringify(batch));
      assert.equal(batch.counts.in_flight, 0, JSON.stringify(batch));
      return { sent: batch.counts.sent, failed: batch.counts.failed };
    },
    { withinMs: 180_000, everyMs: 100 },
  );
}

/** Handler calls beyond the first of each event. */
function replays(
  calls: ReadonlyMap<string, number>,
  events: readonly Parameters<typeof stepOf>[0][],
): number {
  return events.reduce((sum, event) => sum + (calls.get(stepOf(event)) ?? 1) - 1, 0);
}
