import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { OutgoingRecord } from '../producer.ts';
import { gathered } from './gathered.ts';

describe('records that are put aside at one moment', () => {
  it('go together, as many as a topic takes, headers counted', async () => {
    const sent: number[] = [];
    const producer = gathered({
      async send(_, records) {
        sent.push(records.length);
      },
      async stop() {},
    });
    const large = aRecord({ big: 'x'.repeat(300_000) });
    const all = [aRecord(), aRecord(), aRecord(), large, large].map((it) => producer.send('a', [it]));
    await Promise.all(all);
    assert.deepEqual(sent, [1, 3, 1]);
  });

  it('are stored although one of them is refused', async () => {
    const stored: (string | undefined)[] = [];
    const producer = gathered({
      async send(_, records) {
        if (records.some(({ headers }) => headers?.name === 'bad')) throw new Error('too large');
        stored.push(...records.map(({ headers }) => String(headers?.name)));
      },
      async stop() {},
    });
    const names = ['first', 'good', 'bad', 'better'];
    const results = await Promise.allSettled(names.map((name) => producer.send('a', [aRecord({ name })])));
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(stored, ['first', 'good', 'better']);
  });
});

function aRecord(headers: Record<string, string> = {}): OutgoingRecord {
  return { key: null, value: Buffer.from('v'), headers };
}
