/** The batch of batch.int.test.ts over 10,000 letters; prints what it counted. */
import { describe, it } from 'mocha';
import { assertSentOnce, stopResumeCancel } from './batch.ts';
import { ownParts } from './own-parts.ts';

describe('a batch replay over 10,000 letters', function () {
  this.timeout(900_000);
  ownParts();

  for (const order of ['none', 'by-key'] as const) {
    it(`stops itself, is resumed and cancelled across deaths of the service, and sends nothing twice (order ${order})`, async () => {
      const report = await stopResumeCancel(10_000, order);
      console.log(JSON.stringify({ fault: `kill -9 dead-letters in a batch, order ${order}`, ...report }));
      assertSentOnce(report);
    });
  }
});
