import { describe, it } from 'mocha';
import { assertFloors } from './floors.support.ts';

describe('the golden set', () => {
  // The smaller of the menus: most of the time goes into reading them. The nightly test has both.
  it('is found and answered for one tenant as well as it was', () => assertFloors(['demo'])).timeout(120_000);
});
