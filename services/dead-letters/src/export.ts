/** Letters as a stream of text, however many: what is in memory is a page of ids and about a megabyte of letters. */
import type { Client, Pool } from '@ragline/postgres/pool';
import { csvLine } from './export-csv.ts';
import { type AttemptRow, type LetterRow, type NoteRow, rowColumns } from './letter.ts';
import { type Filter, pageOfLetters } from './letter-filter.ts';
import { type Mask, viewOf } from './letter-view.ts';
import { inScope, type Scope } from './scope.ts';

export const exportFormats = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

type View = ReturnType<typeof viewOf>;

const pageRows = 1_000;
/** Of values as they are stored; a letter that is larger comes alone. */
const chunkBytes = 1_048_576;

export type ExportOptions = {
  scope: Scope;
  filter: Filter;
  format: ExportFormat;
  mask: Mask;
};

/**
 * The export in pieces of some hundred letters, newest first. Each page is a transaction of its own: a slow reader holds
 * none open. A letter that is kept while it runs is not in it; one that changes is as it was when its page was read.
 */
export async function* exportText(
  pool: Pool,
  { scope, filter, format, mask }: ExportOptions,
): AsyncGenerator<string> {
  const write = writers[format];
  yield write.head;
  let before: string | undefined;
  do {
    const page = await inScope(pool, scope, async (client) => {
      const { rows, next } = await pageOfLetters(client, scope, filter, { before, limit: pageRows });
      return {
        next,
        chunks: await chunksOf(
          client,
          rows.map(({ id }) => id),
        ),
      };
    });
    for (const ids of page.chunks) {
      const views = await inScope(pool, scope, (client) => readViews(client, ids, mask));
      yield views.map(write.line).join('');
    }
    before = page.next;
  } while (before !== undefined);
}

/** The ids in their order, in pieces whose values are about so large together. */
async function chunksOf(client: Client, ids: readonly string[]): Promise<string[][]> {
  if (ids.length === 0) return [];
  // The length stands in the row: no value is read for it.
  const { rows } = await client.query<{ id: string; bytes: number }>({
    name: 'dead_letters_export_sizes',
    text: `SELECT id, coalesce(octet_length(value), 0) + 1024 AS bytes FROM dead_letters.letter WHERE id = ANY ($1::uuid[])
            ORDER BY id DESC`,
    values: [ids],
  });
  const chunks: string[][] = [];
  let room = 0;
  for (const { id, bytes } of rows) {
    if (chunks.length === 0 || bytes > room) {
      chunks.push([]);
      room = chunkBytes;
    }
    chunks.at(-1)?.push(id);
    room -= bytes;
  }
  return chunks;
}

async function readViews(client: Client, ids: readonly string[], mask: Mask): Promise<View[]> {
  const letters = await client.query<LetterRow>({
    name: 'dead_letters_export',
    text: `SELECT ${rowColumns} FROM dead_letters.letter l WHERE l.id = ANY ($1::uuid[]) ORDER BY l.id DESC`,
    values: [ids],
  });
  const history = await client.query<AttemptRow & { letter_id: string }>({
    name: 'dead_letters_export_attempts',
    text: `SELECT letter_id, number, attempt, failed_at, error_code, error_class, error_message, error_stack, by
             FROM dead_letters.attempt WHERE letter_id = ANY ($1::uuid[]) ORDER BY letter_id, number`,
    values: [ids],
  });
  const notes = await client.query<NoteRow & { letter_id: string }>({
    name: 'dead_letters_export_notes',
    text: 'SELECT letter_id, id, user_id, text, at FROM dead_letters.note WHERE letter_id = ANY ($1::uuid[]) ORDER BY letter_id, id',
    values: [ids],
  });
  const attemptsOf = Map.groupBy(history.rows, (row) => row.letter_id);
  const notesOf = Map.groupBy(notes.rows, (row) => row.letter_id);
  return letters.rows.map((letter) =>
    viewOf(
      {
        letter,
        history: (attemptsOf.get(letter.id) ?? []).map(({ letter_id: _, ...attempt }) => attempt),
        notes: notesOf.get(letter.id) ?? [],
      },
      mask,
    ),
  );
}

/** Columns of the CSV; the fields of a letter that fit into a cell. */
const csvColumns = [
  ...['id', 'state', 'group', 'topic', 'partition', 'offset', 'key', 'tenant_id', 'event_id', 'event_type'],
  ...['schema_id', 'error_code', 'error_class', 'error_message', 'fingerprint', 'attempt_count', 'version'],
  ...[
    'first_failed_at',
    'failed_at',
    'kept_at',
    'resolved_at',
    'discarded_at',
    'discard_reason',
    'edited_from',
  ],
  ...['headers', 'value', 'raw'],
] as const;

const writers: Record<ExportFormat, { head: string; line: (view: View) => string }> = {
  ndjson: { head: '', line: (view) => `${JSON.stringify(view)}\n` },
  csv: {
    head: csvLine(csvColumns),
    line: (view) => {
      const fields = new Map<string, unknown>(Object.entries(view));
      return csvLine(csvColumns.map((name) => cellOf(fields.get(name))));
    },
  },
};

const cellOf = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value);
