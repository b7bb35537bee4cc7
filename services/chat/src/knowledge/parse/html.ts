/** The text of an HTML page: headings, paragraphs, lists and tables as Markdown; what a reader would not see is left out. */
import { Parser } from 'htmlparser2';
import { boundedText, type Parsed } from './parsed.ts';

const unseen = new Set([
  'script',
  'style',
  'template',
  'noscript',
  'svg',
  'math',
  'iframe',
  'object',
  'canvas',
  'nav',
  'button',
  'select',
  'textarea',
]);
const blocks = new Set([
  'p',
  'div',
  'section',
  'article',
  'main',
  'header',
  'footer',
  'aside',
  'ul',
  'ol',
  'dl',
  'dt',
  'dd',
  'table',
  'tr',
  'blockquote',
  'pre',
  'figure',
  'figcaption',
  'address',
  'hr',
  'body',
  'details',
  'summary',
  'fieldset',
  // Some pages are one form as a whole.
  'form',
]);
const voids = new Set([
  'br',
  'hr',
  'img',
  'input',
  'meta',
  'link',
  'wbr',
  'source',
  'track',
  'area',
  'base',
  'col',
  'embed',
]);
const heading = /^h[1-6]$/;

/** Throws ParseError `too_long`. Takes time in proportion to the page's size, but for hostile nesting. */
export function parseHtml(html: string, lettersMax: number): Parsed {
  const out = boundedText(lettersMax * 2);
  const title = boundedText(10_000);
  let depth = 0;
  // The depth at which what is not seen began.
  let hiddenAt: number | undefined;
  let isTitle = false;
  let isPre = 0;

  const parser = new Parser(
    {
      onopentag(name, attributes) {
        if (!voids.has(name)) depth += 1;
        if (hiddenAt !== undefined) return;
        if (!voids.has(name) && (unseen.has(name) || isHidden(attributes))) {
          hiddenAt = depth;
          return;
        }
        if (name === 'title') isTitle = true;
        else if (heading.test(name)) out.add(`\n\n${'#'.repeat(Number(name.slice(1)))} `);
        else if (name === 'li') out.add('\n- ');
        else if (name === 'br') out.add('\n');
        else if (name === 'td' || name === 'th') out.add(' | ');
        else if (blocks.has(name)) out.add(name === 'tr' ? '\n' : '\n\n');
        if (name === 'pre') isPre += 1;
      },
      ontext(text) {
        if (hiddenAt !== undefined) return;
        if (isTitle) title.add(text);
        else out.add(isPre > 0 ? text : text.replace(/\s+/g, ' '));
      },
      onclosetag(name) {
        if (voids.has(name)) return;
        const isShown = hiddenAt === undefined;
        if (hiddenAt === depth) hiddenAt = undefined;
        depth -= 1;
        if (!isShown) return;
        if (name === 'title') isTitle = false;
        else if (heading.test(name) || blocks.has(name)) out.add(name === 'tr' ? '\n' : '\n\n');
        if (name === 'pre') isPre -= 1;
      },
    },
    { decodeEntities: true },
  );
  parser.write(html);
  parser.end();
  const text = boundedText(lettersMax);
  text.add(
    out
      .text()
      .replace(/^[^\S\n]+(?=\S)/gm, '')
      .replace(/^\| /gm, ''),
  );
  return { title: title.text().replace(/\s+/g, ' ').trim() || null, text: text.text() };
}

/** Nobody reads what is hidden, so nobody would know what the assistant had it from. */
function isHidden({ hidden, style, 'aria-hidden': ariaHidden }: Record<string, string>): boolean {
  if (hidden !== undefined || ariaHidden === 'true') return true;
  return style !== undefined && /display\s*:\s*none|visibility\s*:\s*hidden/i.test(style);
}
