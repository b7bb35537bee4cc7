/** What the sample tenants' assistants know beside the menu: a Markdown file each in knowledge/<tenant>. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DocumentBody, documentFrom } from '../knowledge/document-file.ts';

/** In the order of the files' names, with `<name>.md` for a source. */
export async function sampleDocuments(tenant: string): Promise<DocumentBody[]> {
  const folder = join(import.meta.dirname, 'knowledge', tenant);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.md')).sort();
  const documents: DocumentBody[] = [];
  for (const file of files) documents.push(await documentFrom(join(folder, file), { source: file }));
  return documents;
}
