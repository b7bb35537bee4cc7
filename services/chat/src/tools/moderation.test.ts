import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { obscenitiesIn } from './moderation.ts';

describe('moderation', () => {
  for (const text of ['what the fuck', 'you are full of sh1t', 'fuuuuck off', 'SHIT']) {
    it(`flags “${text}”`, () => assert.ok(obscenitiesIn(text).count > 0));
  }

  for (const text of [
    'cumin and cucumber',
    'a class of grass',
    'an assortment of cocktails',
    'shiitake ramen',
    'Scunthorpe',
    'chicken breast, analogue scales',
    'Titanic sushi, passion fruit, sea bass',
  ]) {
    it(`lets “${text}” pass`, () => assert.deepEqual(obscenitiesIn(text).words, []));
  }
});
