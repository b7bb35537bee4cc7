import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { explain } from './explain.ts';
import { renderTable } from './output.ts';

describe('what commands print', () => {
  it('is a table with the names of the fields on top', () => {
    const rows = [
      { topic: 'orders.v1', partitions: 12, drift: [] },
      { topic: 'a', partitions: null, drift: ['missing'] },
    ];
    assert.equal(
      renderTable(rows),
      'topic      partitions  drift\norders.v1  12          []\na          -           ["missing"]\n',
    );
    assert.equal(renderTable([]), '');
  });

  it('names the cause of an error, and the cause of that', () => {
    const error = new Error('not applied', {
      cause: new Error('no answer', { cause: new Error('ECONNREFUSED') }),
    });
    assert.equal(explain(error), 'not applied\n  because: no answer\n  because: ECONNREFUSED');
  });
});
