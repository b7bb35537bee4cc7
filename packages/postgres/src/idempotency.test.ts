import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { pruneIdempotency } from './idempotency.ts';

describe('pruning answers', () => {
  it('goes on until a batch is not full', async () => {
    const batches = [10_000, 10_000, 7];
    const db = {
      // biome-ignore lint/suspicious/noExplicitAny: the rows of whatever the caller asks for.
      query: async (): Promise<any> => ({ rows: [{ pruned: batches.shift() ?? 0 }] }),
    };
    assert.equal(await pruneIdempotency(db, 'orders'), 20_007);
  });
});
