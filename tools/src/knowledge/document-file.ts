/** A file as a document of POST /v1/knowledge/documents. */
import { readFile } from 'node:fs/promises';
import { basename, extname, isAbsolute, relative } from 'node:path';
import type { Json } from '../seed/rest.ts';

export const documentKinds = ['policy', 'faq', 'note'] as const;
export type DocumentKind = (typeof documentKinds)[number];

export type DocumentBody = Json & {
  kind: DocumentKind;
  content: string;
  media_type: string;
  source: string;
  title?: string;
  language?: string;
};

export type DocumentOptions = {
  kind?: DocumentKind | undefined;
  title?: string | undefined;
  language?: string | undefined;
  /** The file's path as it is seen from here when not given. */
  source?: string | undefined;
};

const mediaTypes: Record<string, string> = {
  '.md': 'text/markdown',
  '.markdown': 'text/markdown',
  '.txt': 'text/plain',
  '.html': 'text/html',
  '.htm': 'text/html',
  '.pdf': 'application/pdf',
};

/** Reads the file. Throws Error for a type that is not taken, and for front matter that says something else. */
export async function documentFrom(file: string, options: DocumentOptions = {}): Promise<DocumentBody> {
  const media_type = mediaTypes[extname(file).toLowerCase()];
  if (media_type === undefined) {
    throw new Error(`${file}: only ${Object.keys(mediaTypes).join(', ')} are taken`);
  }
  const bytes = await readFile(file);
  const source = options.source ?? sourceOf(file);
  if (media_type === 'application/pdf') {
    return bodyOf({ content: bytes.toString('base64'), media_type, source }, options);
  }
  const { fields, text } = frontMatterOf(textOf(bytes, file), file);
  return bodyOf({ content: text, media_type, source }, { ...fields, ...definedOf(options) });
}

/** UTF-8, or UTF-16 with its mark. Throws Error for anything else: what is garbled would be found and cited so. */
export function textOf(bytes: Uint8Array, file: string): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error(`${file}: is not UTF-8; save it as UTF-8 first`, { cause: error });
  }
}

/** The path below here; of what lies elsewhere the name alone, since ways up mean nothing to others. */
function sourceOf(file: string): string {
  const path = relative(process.cwd(), file).replaceAll('\\', '/');
  return path.startsWith('..') || isAbsolute(path) ? basename(file) : path;
}

function bodyOf(
  read: Pick<DocumentBody, 'content' | 'media_type' | 'source'>,
  { kind = 'note', title, language }: DocumentOptions,
): DocumentBody {
  return { ...read, kind, ...(title && { title }), ...(language && { language }) };
}

/** Options win over front matter only where they are given. */
function definedOf(options: DocumentOptions): DocumentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The lines between two `---` at the beginning, as `name: value`; kind, title and language mean something. */
export function frontMatterOf(text: string, file: string): { fields: DocumentOptions; text: string } {
  const match = /^\ufeff?---\r?\n([\s\S]*?)\r?\n---\r?\n/.exec(text);
  if (match === null) return { fields: {}, text };
  const lines = (match[1] ?? '').split(/\r?\n/).map((line) => /^(\w+)\s*:\s*(.*?)\s*$/.exec(line));
  const values = new Map(lines.flatMap((line) => (line ? [[line[1] ?? '', line[2] ?? '']] : [])));
  const named = values.get('kind');
  const kind = documentKinds.find((it) => it === named);
  if (named !== undefined && kind === undefined) {
    throw new Error(`${file}: the kind ${named} is none of ${documentKinds.join(', ')}`);
  }
  const fields = { kind, title: values.get('title'), language: values.get('language') };
  return { fields, text: text.slice(match[0].length) };
}
