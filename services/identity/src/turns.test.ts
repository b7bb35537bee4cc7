import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createTurns } from './turns.ts';

describe('turns', () => {
  it('run so many at once, the others one after the other in their order', async () => {
    const turns = createTurns({ atOnce: 2, waitingMax: 10 });
    const order: number[] = [];
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const runs = gates.map(({ promise }, number) =>
      turns.run(async () => {
        order.push(number);
        await promise;
      }),
    );
    await Promise.resolve();
    assert.deepEqual(order, [0, 1]);
    for (const gate of gates) gate.resolve();
    await Promise.all(runs);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it('are refused when the line is full, and given again afterwards', async () => {
    const turns = createTurns({ atOnce: 1, waitingMax: 1 });
    const gate = Promise.withResolvers<void>();
    const running = turns.run(() => gate.promise);
    const waiting = turns.run(async () => 'done');
    await assert.rejects(
      turns.run(async () => 'too many'),
      { code: 'unavailable' },
    );
    gate.resolve();
    await running;
    assert.equal(await waiting, 'done');
    assert.equal(await turns.run(async () => 'again'), 'again');
  });

  it('pass on when the work fails', async () => {
    const turns = createTurns({ atOnce: 1, waitingMax: 5 });
    const failing = turns.run(async () => {
      throw new Error('broken');
    });
    const next = turns.run(async () => 'next');
    await assert.rejects(failing, { message: 'broken' });
    assert.equal(await next, 'next');
  });
});
