import assert from 'node:assert/strict';
import type { Pool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import type { Encode } from '../outbox.ts';
import { startDigests } from './scheduler.ts';

describe('the scheduler of digests', () => {
  it('waits where the registry does not answer, and blames no window', async () => {
    const { putOffs, warned } = await firstLook({
      encoder: () => Promise.reject(new Error('no registry')),
      failing: () => false,
    });
    assert.deepEqual([putOffs, warned], [0, ['digests wait']]);
  });

  it('ends its look where nothing that failed is due', async () => {
    const { putOffs, warned } = await firstLook({
      encoder: async () => () => Buffer.alloc(0),
      failing: (name) => name === 'digest_claim',
    });
    assert.deepEqual([putOffs, warned], [1, ['digest failed: put off']]);
  });
});

/** What one look does on a database where no window is due. */
async function firstLook({ encoder, failing }: Scene): Promise<{ putOffs: number; warned: string[] }> {
  let putOffs = 0;
  const warned: string[] = [];
  const seen = Promise.withResolvers<void>();
  const query = async (given: string | { name?: string; text: string }) => {
    const { name = '', text } = typeof given === 'string' ? { text: given } : given;
    if (failing(name)) throw new Error('refused');
    if (name === 'digest_put_off') putOffs += 1;
    // A look that went on would not come to its end.
    if (putOffs > 1 || text.includes('AS seconds')) seen.resolve();
    if (name === 'digest_sample') return { rows: [{ at: new Date(), oldest: '1', next: '1' }], rowCount: 1 };
    return { rows: [], rowCount: 0 };
  };
  const client = { query, release() {} };
  const digests = startDigests({
    // As much of a pool as is used.
    pool: { query, connect: async () => client } as unknown as Pool,
    encoder,
    log: {
      debug() {},
      info() {},
      error() {},
      warn(message: string) {
        warned.push(message);
        if (message === 'digests wait' || warned.length > 1) seen.resolve();
      },
    },
    metrics: createMetrics({ service: 'test' }),
  });
  await seen.promise;
  await digests.stop();
  return { putOffs, warned };
}

type Scene = { encoder: () => Promise<Encode>; failing: (statement: string) => boolean };
