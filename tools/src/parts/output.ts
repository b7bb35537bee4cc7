/** What commands print: data for programs with --json, else a table. */

type Row = Record<string, unknown>;

/** One JSON document on stdout, or the rows as columns; `forPeople` may put them in a person's words first. */
export function print<R extends Row>(
  rows: readonly R[],
  json: boolean,
  forPeople: (row: R) => Row = (row) => row,
): void {
  if (json) return void process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  process.stdout.write(renderTable(rows.map(forPeople)));
}

/** Rows as aligned columns, with the names of the first row's fields on top; empty text for no rows. */
export function renderTable(rows: readonly Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {});
  if (names.length === 0) return '';
  const lines = [names, ...rows.map((row) => names.map((name) => cell(row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const render = (line: string[]) =>
    line
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${lines.map(render).join('\n')}\n`;
}

/** Without what steers a terminal, or turns the direction of writing: what is shown may be a stranger's text. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, '\uFFFD');
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** 2592000000 → 30 d, 5400000 → 90 min: the largest unit that leaves no rest; 1234 → 1.2 s */
export function duration(ms: number): string {
  if (ms < 0) return 'for ever';
  const [unit, length] = units.find(([, each]) => ms >= each && ms % each === 0) ?? [];
  if (unit !== undefined && length !== undefined) return `${ms / length} ${unit}`;
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** 1536 → 1.5 KiB */
export function size(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = bytes < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** step).toFixed(1))} ${names[step] ?? ''}`;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : printable(String(value));
}
