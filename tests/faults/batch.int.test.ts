import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type BatchReport, stopResumeCancel } from './batch.ts';

describe('a batch replay', function () {
  this.timeout(300_000);

  it('over 10,000 letters stops itself at the 10th new failure, is resumed and cancelled across deaths of the service, and sends nothing twice', async () => {
    assertOnce(await stopResumeCancel(10_000, 'none'));
  });

  it('does the same with records that keep their place in their keys', async () => {
    const report = await stopResumeCancel(450, 'by-key');
    assertOnce(report);
    assert.equal(report.sent_twice, 0, JSON.stringify(report));
  });
});

function assertOnce({ inbox, effects, resolved, letters, ...report }: BatchReport): void {
  assert.deepEqual([inbox, effects, resolved], [letters, letters, letters], JSON.stringify(report));
}
