import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isClean, judge, type SeenEvent } from './history.ts';

const tenant = 'tenant-a';
const step = (version: number) => ({ tenant_id: tenant, order_id: 'order-1', version });
const event = (version: number, changes: Partial<SeenEvent> = {}): SeenEvent => ({
  event_id: `event-${version}`,
  tenant_id: tenant,
  order_id: 'order-1',
  version,
  ...changes,
});

describe('the history checker', () => {
  it('finds nothing in a history that kept every promise', () => {
    assert.ok(isClean(judge(tenant, [step(1), step(2)], [event(1), event(2)])));
  });

  it('finds an acknowledged step that nobody was told of', () => {
    assert.deepEqual(judge(tenant, [step(1), step(2)], [event(1)]).lost, [step(2)]);
  });

  it('finds an event that came twice', () => {
    assert.equal(judge(tenant, [step(1)], [event(1), event(1)]).doubled.length, 1);
  });

  it('finds a step that came twice under two ids', () => {
    assert.equal(judge(tenant, [step(1)], [event(1), event(1, { event_id: 'other' })]).doubled.length, 1);
  });

  it('finds a step that came after its successor', () => {
    assert.deepEqual(judge(tenant, [step(1), step(2)], [event(2), event(1)]).reordered, [event(1)]);
  });

  it('finds an event of another tenant', () => {
    assert.equal(judge(tenant, [], [event(1, { tenant_id: 'tenant-b' })]).foreign.length, 1);
  });

  it('does not owe a client the steps of another tenant', () => {
    assert.equal(judge(tenant, [{ ...step(1), tenant_id: 'tenant-b' }], []).lost.length, 0);
  });
});
