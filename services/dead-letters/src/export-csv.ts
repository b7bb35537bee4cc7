/** CSV as RFC 4180 has it, that a spreadsheet may open without running anything in it. */

// A spreadsheet takes a cell that begins so for a formula, and a formula can fetch and send.
const active = /^[=+\-@\t\r\n]/;

/**
 * One line with its end. Numbers stay numbers; null and undefined are empty, objects JSON. A text that a spreadsheet
 * would run begins with an apostrophe instead.
 */
export function csvLine(cells: readonly unknown[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const inert = active.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
