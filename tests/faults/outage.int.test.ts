import { describe, it } from 'mocha';
import { assertHarmless, outage } from './outage.ts';

describe('a group whose dependency is away', function () {
  this.timeout(120_000);

  it('waits without letters and without spending attempts, then handles all in order', async () => {
    // Longer than the whole ladder of its retries, and than several tries of the breaker.
    assertHarmless(await outage(12_000));
  });
});
