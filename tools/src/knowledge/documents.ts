/** ragline knowledge import, list, delete, coverage: of one tenant, as its staff. */
import { basename, extname } from 'node:path';
import type { Command } from 'commander';
import {
  type Client,
  createClient,
  type LoginOptions,
  queryOf,
  RestError,
  withLogin,
} from '../dead-letters/client.ts';
import { print } from '../parts/output.ts';
import { readSettings } from '../parts/settings.ts';
import { isJson, type Json, rowsOf } from '../seed/rest.ts';
import {
  type DocumentBody,
  type DocumentKind,
  type DocumentOptions,
  documentFrom,
  documentKinds,
} from './document-file.ts';

type Options = LoginOptions & { json?: boolean };

const staff = 'demo/staff@demo.example';
const readMs = 60_000;
const indexedWithinMs = 60_000;
const lookEveryMs = 300;

export function registerDocuments(parent: Command): void {
  withLogin(parent.command('import <files...>'), staff)
    .description(
      'Adds Markdown, text, HTML or PDF files; a file that was imported before replaces what it was, one that fails keeps no other back. The first lines of Markdown may say "kind: policy" between two lines of dashes.',
    )
    .option('--kind <kind>', `${documentKinds.join(', ')}; note when the file says nothing`)
    .option('--title <title>', "of a single file; else the document's own, or the file's name")
    .option('--language <language>', 'such as en')
    .option('--wait', 'until the assistant can find them')
    .option('--json', 'print JSON')
    .action(importFiles);

  withLogin(parent.command('list'), staff)
    .description('Shows the documents, newest first.')
    .option('--kind <kind>', documentKinds.join(', '))
    .option('--limit <number>', 'how many at most', '50')
    .option('--cursor <cursor>', 'go on where an earlier list ended')
    .option('--json', 'print JSON')
    .action(async (options: Options & { kind?: string; limit: string; cursor?: string }) => {
      const client = createClient(await readSettings(), options);
      const { kind, limit, cursor } = options;
      const page = await client.get(`/v1/knowledge/documents${queryOf({ kind, limit, cursor })}`);
      print(rowsOf(page), options.json === true, documentRow);
      if (typeof page.next_cursor === 'string') process.stderr.write(`more: --cursor ${page.next_cursor}\n`);
    });

  withLogin(parent.command('delete <id>'), staff)
    .description('Deletes a document; the assistant forgets it within seconds.')
    .action(async (id: string, options: Options) => {
      const client = createClient(await readSettings(), options);
      await client.call('DELETE', `/v1/knowledge/documents/${encodeURIComponent(id)}`);
    });

  withLogin(parent.command('coverage'), staff)
    .description('Shows how much of the menu and the documents can be found.')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const client = createClient(await readSettings(), options);
      const coverage = await client.get('/v1/knowledge/coverage');
      if (options.json === true) return print([coverage], true);
      print(rowsOf({ data: coverage.kinds }), false);
      process.stdout.write(
        `\n${coverage.documents} documents, ${coverage.behind} not found as they are now\n\n`,
      );
      print(rowsOf({ data: coverage.models }), false);
    });
}

type ImportOptions = Options & { kind?: string; title?: string; language?: string; wait?: boolean };

async function importFiles(files: string[], options: ImportOptions): Promise<void> {
  const kind = kindFrom(options.kind);
  if (options.title !== undefined && files.length > 1) throw new Error('--title is for a single file');
  const client = createClient(await readSettings(), options);
  const { title, language } = options;
  const { kept, failures } = await keepFiles(client, files, { kind, title, language });
  const found = options.wait === true ? await allIndexed(client, kept) : kept;
  if (found.length > 0 || failures.length === 0) print(found, options.json === true, documentRow);
  for (const failure of failures) process.stderr.write(`${failure}\n`);
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${files.length} files are not imported; the others are`);
}

/** One after the other; a file that fails keeps no other back. */
export async function keepFiles(
  client: Pick<Client, 'call'>,
  files: readonly string[],
  options: DocumentOptions,
): Promise<{ kept: Json[]; failures: string[] }> {
  const kept: Json[] = [];
  const failures: string[] = [];
  for (const file of files) {
    try {
      kept.push(await keepFile(client, await documentFrom(file, options), file));
    } catch (error) {
      failures.push(`${file}: ${whyOf(error).replace(`${file}: `, '')}`);
    }
  }
  return { kept, failures };
}

async function keepFile(client: Pick<Client, 'call'>, body: DocumentBody, file: string): Promise<Json> {
  const post = async (document: Json) => {
    const request = { body: document, withinMs: readMs };
    return (await client.call('POST', '/v1/knowledge/documents', request)).body;
  };
  try {
    return await post(body);
  } catch (error) {
    // Plain text and many a PDF name no title: the file's name is better than none.
    if (body.title !== undefined || !isOfTitle(error)) throw error;
    return post({ ...body, title: basename(file, extname(file)) });
  }
}

function isOfTitle(error: unknown): boolean {
  return error instanceof RestError && error.status === 422 && error.paths.includes('title');
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';

function whyOf(error: unknown): string {
  if (isMissing(error)) return 'is not there';
  return error instanceof Error ? error.message : String(error);
}

async function allIndexed(client: Client, documents: readonly Json[]): Promise<Json[]> {
  const found: Json[] = [];
  for (const document of documents) found.push(await indexed(client, document));
  return found;
}

/** Waits until the document's present version can be found. Throws Error when that takes a minute. */
async function indexed(client: Client, { id, title, version }: Json): Promise<Json> {
  const until = Date.now() + indexedWithinMs;
  for (;;) {
    const { text: _, ...document } = await client.get(`/v1/knowledge/documents/${String(id)}`);
    if (Number(document.indexed_version ?? 0) >= Number(version)) return document;
    if (Date.now() > until) throw new Error(`${String(title)} is kept, but cannot be found yet`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

function kindFrom(text: string | undefined): DocumentKind | undefined {
  const kind = documentKinds.find((it) => it === text);
  if (text !== undefined && kind === undefined)
    throw new Error(`--kind is one of ${documentKinds.join(', ')}`);
  return kind;
}

function documentRow(row: Json): Json {
  const { id, kind, title, source, version, indexed_version, letters } = isJson(row) ? row : {};
  return { id, kind, title, source, version, found: indexed_version, letters };
}
