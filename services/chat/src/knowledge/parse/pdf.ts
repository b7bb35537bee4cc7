/** The text of a PDF, page by page; a line in larger letters is taken for a heading. */
import { getDocumentProxy } from 'unpdf';
import { boundedText, type Parsed, ParseError, tidy } from './parsed.ts';

/** A line as it stands on a page; `height` is that of its letters and `top` where it stands, in the page's own units. */
type Line = { text: string; height: number; top: number; page: number };

const pagesMax = 2_000;
const headingLengthMax = 120;

/** Throws ParseError for what is no PDF, is locked, or has no text or too much of it. */
export async function parsePdf(bytes: Uint8Array, lettersMax: number): Promise<Parsed> {
  // Nothing of a document is run or drawn.
  const settings = { isEvalSupported: false, disableFontFace: true, stopAtErrors: false, verbosity: 0 };
  const pdf = await getDocumentProxy(bytes, settings).catch((cause: unknown) => {
    throw new ParseError('unreadable', { cause });
  });
  try {
    if (pdf.numPages > pagesMax) throw new ParseError('too_long');
    const { info } = await pdf.getMetadata();
    const lines: Line[] = [];
    let letters = 0;
    for (let page = 1; page <= pdf.numPages; page += 1) {
      const ofPage = await linesOf(await pdf.getPage(page), page);
      for (const { text } of ofPage) letters += text.length;
      if (letters > lettersMax) throw new ParseError('too_long');
      lines.push(...ofPage);
    }
    const title: unknown = Reflect.get(info, 'Title');
    return {
      title: typeof title === 'string' ? tidy(title).replace(/\s+/g, ' ') || null : null,
      text: textOf(lines, lettersMax),
    };
  } finally {
    await pdf.loadingTask.destroy();
  }
}

type Page = Awaited<ReturnType<Awaited<ReturnType<typeof getDocumentProxy>>['getPage']>>;

async function linesOf(page: Page, number: number): Promise<Line[]> {
  const { items } = await page.getTextContent();
  const lines: Line[] = [];
  let line: Line | undefined;
  for (const item of items) {
    if (!('str' in item)) continue;
    const [, , , height = 0, , top = 0] = item.transform.map(Number);
    line ??= { text: '', height: 0, top, page: number };
    line.text += item.str;
    if (item.str.trim() !== '') line.height = Math.max(line.height, Math.abs(height));
    if (!item.hasEOL) continue;
    lines.push(line);
    line = undefined;
  }
  if (line !== undefined) lines.push(line);
  page.cleanup();
  return lines
    .map((it) => ({ ...it, text: it.text.replace(/\s+/g, ' ').trim() }))
    .filter(({ text }) => text !== '');
}

function textOf(lines: readonly Line[], lettersMax: number): string {
  const usual = usualHeight(lines);
  const out = boundedText(lettersMax * 2);
  let before: Line | undefined;
  for (const line of lines) {
    const isHeading = line.height > usual * 1.15 && line.text.length <= headingLengthMax;
    const isApart = before === undefined || line.page !== before.page || before.top - line.top > usual * 1.9;
    const level = line.height > usual * 1.6 ? '#' : '##';
    out.add(isHeading ? `\n\n${level} ${line.text}\n\n` : `${isApart ? '\n\n' : '\n'}${line.text}`);
    before = line;
  }
  return out.text();
}

/** The height of most letters: that of the running text. */
function usualHeight(lines: readonly Line[]): number {
  const letters = new Map<number, number>();
  for (const { height, text } of lines) {
    const rounded = Math.round(height * 10) / 10;
    letters.set(rounded, (letters.get(rounded) ?? 0) + text.length);
  }
  let usual = { height: 0, count: 0 };
  for (const [height, count] of letters) if (count > usual.count) usual = { height, count };
  return usual.height;
}
