/** What is read out of an uploaded document, and why it cannot be. */

export const mediaTypes = ['text/markdown', 'text/plain', 'text/html', 'application/pdf'] as const;
export type MediaType = (typeof mediaTypes)[number];

/** Text with its headings as Markdown has them; `title` is null where the document names none. */
export type Parsed = { title: string | null; text: string };

export type ParseFault =
  /** Not what its media type says, damaged, or locked by a password. */
  | 'unreadable'
  /** Nothing in it is text: a scanned PDF, an empty page. */
  | 'no_text'
  /** More text than a document may have. */
  | 'too_long'
  /** It took more time or memory than a document may. */
  | 'too_costly';

/** The document's own fault: trying it again does not help. */
export class ParseError extends Error {
  override readonly name = 'ParseError';
  readonly fault: ParseFault;

  constructor(fault: ParseFault, options?: ErrorOptions) {
    super(fault, options);
    this.fault = fault;
  }
}

/** Gathers text up to a bound, and throws ParseError `too_long` beyond it. */
export function boundedText(lettersMax: number) {
  const parts: string[] = [];
  let letters = 0;
  return {
    add(part: string): void {
      letters += part.length;
      if (letters > lettersMax) throw new ParseError('too_long');
      parts.push(part);
    },
    text: () => tidy(parts.join('')),
  };
}

/** One form of line ends and spaces, no control characters, no half surrogate pairs, two line ends in a row at most. */
export function tidy(text: string): string {
  const lines = text
    .toWellFormed()
    .replace(/\r\n?|\u2028|\u2029/g, '\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: Postgres refuses NUL, and nobody reads the others.
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u00ad\ufeff]/g, '')
    .split('\n');
  // Line by line: a pattern for blanks at the ends of lines takes the square of a long line's time.
  const trimmed = lines.map((line) => line.trimEnd()).join('\n');
  return trimmed.replace(/\n{3,}/g, '\n\n').trim();
}
