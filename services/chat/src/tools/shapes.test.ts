import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { clipped } from './shapes.ts';

describe('texts for a model', () => {
  it('are whole where they fit, and say where they are cut', () => {
    assert.equal(clipped('a dish', 6), 'a dish');
    assert.equal(clipped('a dish or two', 7), 'a dish…');
  });

  it('are not cut between the halves of a letter', () => {
    assert.equal(clipped('ab🍕cd', 4), 'ab…');
  });
});
