import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { parseHtml } from './html.ts';
import { ParseError } from './parsed.ts';

describe('the text of an HTML page', () => {
  it('reads a page that is one form as a whole, without its controls', () => {
    const page =
      '<form action="x"><h1>Rules</h1><p>The text</p><select><option>no</option></select><textarea>no</textarea></form>';
    assert.equal(parseHtml(page, 1_000).text, '# Rules\n\nThe text');
  });

  it('keeps headings, paragraphs, lists and tables, and gives the title', () => {
    const page = `<!doctype html><title>Our &amp; your rules</title>
      <h1>Refunds</h1><p>Within <b>14</b>&nbsp;days.<br>No questions.</p>
      <ul><li>Cash</li><li>Card</li></ul><table><tr><th>Day</th><th>Open</th></tr><tr><td>Mon</td><td>9-5</td></tr></table>`;
    assert.deepEqual(parseHtml(page, 10_000), {
      title: 'Our & your rules',
      text: '# Refunds\n\nWithin 14 days.\nNo questions.\n\n- Cash\n- Card\n\nDay | Open\n\nMon | 9-5',
    });
  });

  it('leaves out what a reader would not see', () => {
    const page = `<p>Seen</p><script>alert(1)</script><style>p{}</style><nav>Home</nav>
      <p hidden>no</p><div style="display: none"><p>no</p></div><p aria-hidden="true">no</p><!-- no --><p>Too</p>`;
    assert.equal(parseHtml(page, 10_000).text, 'Seen\n\nToo');
  });

  it('goes on after what is not closed, or closed twice', () => {
    assert.equal(
      parseHtml('<div><p>One<p>Two</div></div></span><h2>Three', 10_000).text,
      'One\n\nTwo\n\n## Three',
    );
  });

  it('is storable, bounded and never undefined, whatever the page is', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.constantFrom('<p>', '</p>', '<script>', '<h1', '&#0;', '<!--', '<td>'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { text } = parseHtml(pieces.join(''), 5_000);
        assert.ok(text.isWellFormed() && !text.includes('\0') && text === text.trim());
      }),
      { numRuns: 30 },
    );
  });

  it('refuses more text than a document may have', () => {
    assert.throws(
      () => parseHtml(`<p>${'word '.repeat(1_000)}`, 1_000),
      (error: unknown) => error instanceof ParseError && error.fault === 'too_long',
    );
  });
});
