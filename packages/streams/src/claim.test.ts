import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type pg from 'pg';
import { createClaim } from './claim.ts';

describe('the transaction of an attempt', () => {
  it('gives the effect its client, and undefined for what was handled before', async () => {
    const effect = async () => 'done';
    assert.equal(await aClaim(['a']).claim.once(effect), 'done');
    assert.equal(await aClaim([]).claim.once(effect), undefined);
  });

  it('tells a batch which events are fresh', async () => {
    const fresh = await aClaim(['a']).claim.onceBatch(async (_, ids) => [...ids]);
    assert.deepEqual(fresh, ['a']);
  });

  it('is begun once: by the handler, or after it', async () => {
    const { claim, begun } = aClaim(['a']);
    await claim.once(async () => 'done');
    await claim.settle();
    assert.equal(begun(), 1);
    await assert.rejects(
      claim.once(async () => 'twice'),
      /twice in one attempt/,
    );
    const other = aClaim(['a']);
    await other.claim.settle();
    assert.equal(other.begun(), 1);
  });

  it('fails the attempt, although the handler has looked away', async () => {
    const { claim } = aClaim(['a']);
    await claim
      .once(async () => {
        throw new Error('rolled back');
      })
      .catch(() => {});
    await assert.rejects(claim.settle(), /rolled back/);
  });
});

function aClaim(fresh: string[]) {
  let begun = 0;
  // Nothing is asked of it here.
  const client = Object.create(null) satisfies pg.PoolClient;
  const claim = createClaim(
    async (effect) => {
      begun += 1;
      return effect(client, new Set(fresh));
    },
    (ids) => ids.size > 0,
  );
  return { claim, begun: () => begun };
}
