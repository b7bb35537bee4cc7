/** The outage of outage.int.test.ts for two minutes; prints what it counted. */
import { describe, it } from 'mocha';
import { assertHarmless, outage } from './outage.ts';
import { ownParts } from './own-parts.ts';

describe('a group whose dependency is away for two minutes', function () {
  this.timeout(400_000);
  ownParts();

  it('waits without letters and without spending attempts, then handles all in order', async () => {
    const report = await outage(120_000);
    console.log(JSON.stringify({ fault: 'dependency away', ...report }));
    assertHarmless(report);
  });
});
