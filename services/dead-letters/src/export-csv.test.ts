import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { csvLine } from './export-csv.ts';

describe('a line of CSV', () => {
  const table: [string, unknown, string][] = [
    ['leaves plain text as it is', 'notifications', 'notifications'],
    ['leaves numbers as they are, negative ones too', -7, '-7'],
    ['leaves out what is not there', null, ''],
    ['quotes commas', 'a,b', '"a,b"'],
    ['doubles quotes', 'say "no"', '"say ""no"""'],
    ['quotes line breaks', 'a\r\nb', '"a\r\nb"'],
    ['writes objects as JSON', { a: 1 }, '"{""a"":1}"'],
    ['makes = inert', '=1+1', "'=1+1"],
    ['makes + inert', '+49 30 1', "'+49 30 1"],
    ['makes - inert', '-1', "'-1"],
    ['makes @ inert', '@SUM(A1)', "'@SUM(A1)"],
    ['makes a tab inert', '\t=1', "'\t=1"],
    ['makes a carriage return inert', '\r=1', `"'\r=1"`],
    [
      'makes a formula with commas inert inside of its quotes',
      '=HYPERLINK("x","y")',
      `"'=HYPERLINK(""x"",""y"")"`,
    ],
  ];
  for (const [promise, value, text] of table) {
    it(promise, () => assert.equal(csvLine([value]), `${text}\r\n`));
  }

  // Of the characters that mean something; of all there are, making them takes longer than the test.
  const text = fc.string({ unit: fc.constantFrom(...'=+-@\t\r\n",;\'a ö'), maxLength: 8 });

  it('reads back as what it was, but for the apostrophe', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (cells) => {
        const [read] = parse(csvLine(cells));
        assert.deepEqual(
          read,
          cells.map((text) => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)),
        );
      }),
    );
  });
});

/** A reader of RFC 4180, written from it and not from the writer. */
function parse(text: string): string[][] {
  const lines: string[][] = [[]];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charAt(i);
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text.charAt(i + 1) === '"') {
        cell += '"';
        i += 1;
      } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ',') {
      lines.at(-1)?.push(cell);
      cell = '';
    } else if (c === '\r' && text.charAt(i + 1) === '\n') {
      lines.at(-1)?.push(cell);
      cell = '';
      lines.push([]);
      i += 1;
    } else cell += c;
  }
  return lines.slice(0, -1);
}
