import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { stopResumeCancel } from './batch.ts';

describe('a batch replay over 10,000 letters', function () {
  this.timeout(300_000);

  it('stops itself at the 10th new failure, is resumed and cancelled across deaths of the service, and sends nothing twice', async () => {
    const report = await stopResumeCancel(10_000, 'by-key');
    const { sent_twice, inbox, effects, resolved } = report;
    assert.deepEqual(
      { sent_twice, inbox, effects, resolved },
      { sent_twice: 0, inbox: 10_000, effects: 10_000, resolved: 10_000 },
      JSON.stringify(report),
    );
  });
});
