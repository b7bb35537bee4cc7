import { describe, it } from 'mocha';
import { assertFloors } from './floors.support.ts';
import { tenants } from './samples.ts';

describe('the golden set', () => {
  it('is found and answered for all sample tenants as well as it was', () => assertFloors(tenants));
});
