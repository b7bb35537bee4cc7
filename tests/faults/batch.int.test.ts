import { describe, it } from 'mocha';
import { assertSentOnce, stopResumeCancel } from './batch.ts';

describe('a batch replay', function () {
  this.timeout(300_000);

  it('stops itself at the 10th new failure, is resumed and cancelled across deaths of the service, and sends nothing twice', async () => {
    assertSentOnce(await stopResumeCancel(450, 'by-key'));
  });
});
