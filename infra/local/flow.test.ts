import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createFlow } from './flow.ts';

describe('a flow of steps', () => {
  it('runs a step when what it needs is done', async () => {
    const flow = createFlow();
    const order: string[] = [];
    const first = flow.step([], async () => void order.push('first'));
    void flow.step([first], async () => void order.push('second'));
    await flow.done();
    assert.deepEqual(order, ['first', 'second']);
  });

  it('ends with the first failure, and runs nothing that needed it', async () => {
    const flow = createFlow();
    let ran = false;
    const broken = flow.step([], () => Promise.reject(new Error('no disk')));
    void flow.step([broken], () => {
      ran = true;
    });
    await assert.rejects(flow.done(), /no disk/);
    assert.equal(ran, false);
    assert.equal(flow.signal.aborted, true);
  });

  it('waits for steps that still run before it tells of a failure', async () => {
    const flow = createFlow();
    const slow = Promise.withResolvers<void>();
    let ended = false;
    void flow.step([], () => Promise.reject(new Error('no disk')));
    void flow.step([], async () => {
      await slow.promise;
      ended = true;
    });
    flow.signal.addEventListener('abort', () => slow.resolve());
    await assert.rejects(flow.done(), /no disk/);
    assert.equal(ended, true);
  });

  it('ends when it is called off from outside', async () => {
    const outer = new AbortController();
    const flow = createFlow(outer.signal);
    outer.abort(new Error('stopped'));
    await assert.rejects(
      flow.step([], () => {}),
      /stopped/,
    );
    await assert.rejects(flow.done(), /stopped/);
  });
});
