import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { explain } from './explain.ts';
import { duration, renderTable, size } from './output.ts';

describe('what commands print', () => {
  it('is a table with the names of the fields on top', () => {
    const rows = [
      { topic: 'orders.v1', partitions: 12, drift: [] },
      { topic: 'a', partitions: null, drift: ['missing'] },
    ];
    assert.equal(
      renderTable(rows),
      'topic      partitions  drift\norders.v1  12          -\na          -           missing\n',
    );
    assert.equal(renderTable([]), '');
  });

  it('gives times and sizes in the unit that suits them', () => {
    assert.deepEqual([2_592_000_000, 3_600_000, 5_400_000, 250, 1_234, -1].map(duration), [
      '30 d',
      '1 h',
      '90 min',
      '250 ms',
      '1.2 s',
      'for ever',
    ]);
    assert.deepEqual([0, 980, 1_536, 4 * 1024 ** 3].map(size), ['0 B', '980 B', '1.5 KiB', '4 GiB']);
  });

  it('names the cause of an error, and the cause of that', () => {
    const error = new Error('not applied', {
      cause: new Error('no answer', { cause: new Error('ECONNREFUSED') }),
    });
    assert.equal(explain(error), 'not applied\n  because: no answer\n  because: ECONNREFUSED');
  });
});
