import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createWordEmbedder } from '../embedding/testing.ts';
import { fitted } from './fitted.ts';

describe('fitting a query into a model', () => {
  const embedder = createWordEmbedder({ maxTokens: 12 });

  it('leaves one alone that fits', () => {
    assert.equal(fitted('where is my order', embedder), 'where is my order');
  });

  it('keeps as many of the first words as the model reads', () => {
    const words = Array.from({ length: 40 }, (_, at) => `word${at}`);
    assert.equal(fitted(words.join(' '), embedder), words.slice(0, 10).join(' '));
  });

  it('cuts a single word that is too long, too', () => {
    const letters = { ...embedder, countTokens: (text: string) => text.length + 2 };
    assert.equal(fitted('x'.repeat(500), letters), 'xxx');
  });
});
