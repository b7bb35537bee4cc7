/** The page at `/`, the docs page and their files: read once, served from memory with an ETag. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { problem } from '@ragline/web/problems';
import type { PolicyName } from './security-headers.ts';

export type Files = Awaited<ReturnType<typeof readFiles>>;

export type Held = { type: string; etag: string; plain: Buffer; zipped: () => Promise<Buffer> };
type File = Held & { policy: PolicyName };

const types: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
};

const page = new URL('../page/', import.meta.url);

const sources: { path: string; url: URL; policy?: PolicyName }[] = [
  { path: '/', url: new URL('index.html', page), policy: 'page' },
  { path: '/chat', url: new URL('chat.html', page), policy: 'page' },
  { path: '/docs', url: new URL('docs.html', page), policy: 'docs' },
  { path: '/llms.txt', url: new URL('llms.txt', page) },
  // Whatever else lies there belongs to these pages.
  ...readdirSync(page)
    .filter((name) => /^[a-z-]+\.(?:css|js|svg)$/.test(name))
    .map((name) => ({ path: `/page/${name}`, url: new URL(name, page) })),
  {
    path: '/page/reference.js',
    url: new URL('browser/standalone.js', import.meta.resolve('@scalar/api-reference')),
  },
];

export async function readFiles() {
  const files = new Map<string, File>();
  for (const source of sources) files.set(source.path, await fileOf(source.url, source.policy ?? 'data'));

  return {
    has: (path: string): boolean => files.has(path),
    policyOf: (path: string): PolicyName => files.get(path)?.policy ?? 'data',
    /** Throws the problem `method_not_allowed`. */
    async send(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        throw problem('method_not_allowed', undefined, { headers: { allow: 'GET, HEAD' } });
      }
      const file = files.get(path);
      if (file) await sendFile(req, res, file);
    },
  };
}

const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/;

/** RFC 9110, 13.1.2: one of a list, weak or not; a proxy that compresses makes it weak. */
function isHeld(header: string | undefined, etag: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return header?.split(',').some((tag) => tag.trim() === '*' || opaque(tag) === opaque(etag)) ?? false;
}

/** Sends something held in memory; the client asks each time whether it is still the same. */
export async function sendFile(req: IncomingMessage, res: ServerResponse, file: Held): Promise<void> {
  res.setHeader('etag', file.etag);
  res.setHeader('cache-control', 'no-cache');
  res.setHeader('vary', 'accept-encoding');
  if (isHeld(req.headers['if-none-match'], file.etag)) {
    res.statusCode = 304;
    res.end();
    return;
  }
  const zipped = takesGzip.test(req.headers['accept-encoding']?.toString() ?? '');
  const bytes = zipped ? await file.zipped() : file.plain;
  if (zipped) res.setHeader('content-encoding', 'gzip');
  res.setHeader('content-type', file.type);
  res.setHeader('content-length', bytes.length);
  res.end(bytes);
}

/** Bytes made ready for `sendFile`; compressed when first asked for so, and then kept. */
export function held(plain: Buffer, type: string): Held {
  let zipped: Promise<Buffer> | undefined;
  return {
    type,
    plain,
    zipped() {
      zipped ??= promisify(gzip)(plain);
      return zipped;
    },
    // Weak: the same for what is compressed, whose bytes are others.
    etag: `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
  };
}

async function fileOf(url: URL, policy: PolicyName): Promise<File> {
  const extension = url.pathname.split('.').at(-1) ?? '';
  return { ...held(await readFile(url), types[extension] ?? 'application/octet-stream'), policy };
}
