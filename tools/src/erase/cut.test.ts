import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type Cut, cutUntilStill } from './cut.ts';
import type { Hit } from './records.ts';

const hit = (topic: string, kind: Hit['kind'] = 'failed'): Hit => ({
  ...{ topic, kind, partition: 0, first: 3, last: 5, lastAt: 0, records: 3 },
});
const cutAll = async (hits: readonly Hit[]): Promise<Cut> => ({
  ...{ cut: hits.reduce((sum, { records }) => sum + records, 0), waiting: [], others: [] },
});

describe('cutting records that move', () => {
  /** What is found, search by search; nothing after the last. */
  const scene = (...found: Hit[][]) => {
    const asked: string[] = [];
    return {
      asked,
      async find(where: string) {
        asked.push(where);
        return { hits: found.shift() ?? [], own: [] };
      },
    };
  };

  it('follows a record that its group gave up meanwhile to where that put it', async () => {
    const { asked, find } = scene([hit('a.retry.60s')], [hit('a.retry.120s')], [hit('a.dlq')]);
    const { cut, waiting } = await cutUntilStill({ find, cut: cutAll });
    assert.deepEqual([cut, waiting], [9, []]);
    assert.deepEqual(asked, ['everywhere', ...Array(3).fill('among what failed')]);
  });

  it('reads topics once where nothing failed', async () => {
    const { asked, find } = scene([hit('chat.events.v1', 'answers')]);
    assert.equal((await cutUntilStill({ find, cut: cutAll })).cut, 3);
    assert.deepEqual(asked, ['everywhere']);
  });

  it('says so when something waits, or moves on and on', async () => {
    const waits = scene([hit('a.retry.60s')]);
    const why = 'not read';
    const cut = async (): Promise<Cut> => ({ cut: 0, waiting: [{ where: 'a', why }], others: [] });
    assert.deepEqual((await cutUntilStill({ find: waits.find, cut })).waiting, [{ where: 'a', why }]);
    assert.equal(waits.asked.length, 1);

    const moves = scene(...Array.from({ length: 20 }, () => [hit('a.retry.60s')]));
    const { waiting } = await cutUntilStill({ find: moves.find, cut: cutAll });
    assert.match(waiting[0]?.why ?? '', /run this again/);
    assert.ok(moves.asked.length < 8);
  });
});
