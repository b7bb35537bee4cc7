import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { tidy } from './parse/parsed.ts';
import { headingOf, questionsOf, sectionsOf } from './sections.ts';

describe('the structure of a text', () => {
  it('has headings as Markdown writes them, and no others', () => {
    assert.deepEqual(headingOf('## Late orders ##'), { level: 2, title: 'Late orders' });
    assert.deepEqual(headingOf('   # C#'), { level: 1, title: 'C#' });
    for (const line of ['#tag', '####### seven', '    # code', '# ', `# ${'long '.repeat(40)}`]) {
      assert.equal(headingOf(line), undefined, line);
    }
  });

  it('knows under which headings a text stands, and takes no comment in a fence for one', () => {
    const text = 'First.\n# A\na\n## B\n```\n# comment\n```\n# C\nc';
    assert.deepEqual(sectionsOf(text), [
      { path: [], body: 'First.' },
      { path: ['A'], body: 'a' },
      { path: ['A', 'B'], body: '```\n# comment\n```' },
      { path: ['C'], body: 'c' },
    ]);
  });

  it('keeps a heading with nothing under it, also where the next one says the same', () => {
    assert.deepEqual(sectionsOf('# A\n## B\n## B\nb'), [
      { path: ['A', 'B'], body: '' },
      { path: ['A', 'B'], body: 'b' },
    ]);
  });

  it('finds questions by their marks and by their signs, but none in prose', () => {
    const answered = [
      { under: [], question: 'Is it open?', answer: 'Yes.' },
      { under: [], question: 'Until when?', answer: 'Ten.' },
    ];
    assert.deepEqual(questionsOf('Q: Is it open?\nA: Yes.\n\n**Q:** Until when?\n**A:** Ten.'), answered);
    assert.deepEqual(questionsOf('**Is it open?**\nYes.\n\n- Until when?\nTen.'), answered);
    assert.equal(questionsOf('Who would not like that? Everybody.\nSo come?'), undefined);
    assert.equal(questionsOf('Behind the house.'), undefined);
  });

  it('is found in texts that are made to take long', () => {
    const blanks = ' '.repeat(500_000);
    for (const text of [
      `# a${blanks}b`,
      `${blanks}\n`.repeat(2),
      `# ${'# '.repeat(250_000)}x`,
      `Q:${blanks}x`,
      '#'.repeat(500_000),
    ]) {
      const plain = tidy(`${text}x`);
      assert.equal(plain.at(-1), 'x');
      assert.ok(sectionsOf(plain).length > 0);
      questionsOf(plain);
    }
  });
});
