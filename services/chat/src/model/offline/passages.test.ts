import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { aChunk } from '../../turn/turn.support.ts';
import { answering } from './passages.ts';

describe('the sentences that answer a question', () => {
  const chunk = aChunk({
    kind: 'faq',
    title: 'Your visit',
    header: 'FAQ · Your visit',
    text: 'Are dogs allowed?\nOn the terrace, on a lead.',
    score: 0.3,
  });
  const question = 'Is smoking allowed on the terrace?';
  /** By words alone the passage is good enough; whether it is about smoking, the word's vector tells. */
  const sentences = async (likeness: number) => {
    const near = Float32Array.of(1, 0);
    const vectorOf = (text: string) => {
      if (text === question) return near;
      if (text.includes(' ')) return Float32Array.of(0.5, Math.sqrt(0.75));
      return text === 'smoking' ? Float32Array.of(likeness, Math.sqrt(1 - likeness ** 2)) : near;
    };
    const embedder = { embed: async (texts: readonly string[]) => texts.map(vectorOf) };
    const { signal } = new AbortController();
    return (await answering(question, [{ chunk, citation: 1 }], embedder, signal)).sentences;
  };

  it('are none where the passage speaks of nothing like a word of the question', async () => {
    assert.deepEqual(await sentences(0.2), []);
  });

  it('are told where it speaks of something like it', async () => {
    assert.deepEqual(
      (await sentences(0.7)).map(({ text }) => text),
      ['On the terrace, on a lead.'],
    );
  });
});
