/** One POST to a receiver: to the very addresses that were checked, within a time, never further. */
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { AddressRules } from './addresses.ts';
import { type CheckedTarget, checkTarget, type Resolve } from './resolve.ts';

/** Why no answer came; few values, they are shown and counted. */
export type PostError =
  | 'timeout'
  | 'address_refused'
  | 'name_unresolved'
  | 'connection_failed'
  | 'tls_failed'
  | 'answer_malformed'
  | 'interrupted';

export type PostResult =
  | { kind: 'answered'; status: number; retryAfter: string | undefined; answer: string }
  | { kind: 'failed'; error_code: PostError };

export type Post = (request: {
  url: string;
  headers: Record<string, string>;
  body: string;
  signal: AbortSignal;
}) => Promise<PostResult>;

export type PostOptions = AddressRules & { resolve: Resolve; timeoutMs: number };

const answerReadBytes = 64 * 1_024;
const answerKeptBytes = 4 * 1_024;
const answerHeaderBytes = 16 * 1_024;
/** For the rest of an answer whose status has come: it changes nothing, and its place is wanted. */
const answerRestMs = 1_000;

/**
 * Gives what posts. The name is resolved and judged anew each time, and the connection goes to those addresses and to no
 * others; certificates are still checked for the name. Redirects are answers like others. The time covers everything.
 *
 * Each POST has a connection of its own, and agents of Node's own: no other's proxy settings, no socket that outlives
 * what was checked.
 */
export function createPost({ resolve, timeoutMs, ...rules }: PostOptions): Post {
  return async ({ url, headers, body, signal }) => {
    const deadline = AbortSignal.timeout(timeoutMs);
    const whileWanted = AbortSignal.any([signal, deadline]);
    try {
      const target = await within(whileWanted, checkTarget(url, rules, resolve));
      if (typeof target === 'string') {
        const isUnknown = target === 'name_unresolved' || target === 'dns_failed';
        return failed(isUnknown ? 'name_unresolved' : 'address_refused');
      }
      return await send(target, headers, body, whileWanted);
    } catch (error) {
      if (signal.aborted) return failed('interrupted');
      return failed(deadline.aborted ? 'timeout' : errorCodeOf(error));
    }
  };
}

const failed = (error_code: PostError): PostResult => ({ kind: 'failed', error_code });

async function send(
  { url, host, addresses }: CheckedTarget,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
): Promise<PostResult> {
  const isTls = url.protocol === 'https:';
  const options: https.RequestOptions = {
    method: 'POST',
    host,
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host, 'content-length': Buffer.byteLength(body) },
    agent: false,
    lookup: lookupOf(addresses),
    maxHeaderSize: answerHeaderBytes,
    signal,
    // An address has no name to ask for.
    ...(isTls && isIP(host) === 0 ? { servername: host } : {}),
  };
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const request = (isTls ? https : http).request(options, resolve);
  request.on('error', reject);
  // An answer 101. Where nobody listens, Node ends the connection and says nothing of it.
  request.on('upgrade', (_response, socket) => {
    socket.destroy();
    reject(Object.assign(new Error('The receiver switches protocols'), { code: 'HPE_UPGRADE' }));
  });
  try {
    request.end(body);
    // By the signal as well: whatever the client does not tell ends with the time.
    const response = await within(signal, promise);
    return {
      kind: 'answered',
      status: response.statusCode ?? 0,
      retryAfter: response.headers['retry-after'],
      answer: await beginningOf(response),
    };
  } finally {
    request.destroy();
  }
}

/** Gives what was checked, whatever it is asked for: nothing is resolved a second time. */
function lookupOf(addresses: CheckedTarget['addresses']): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first] = addresses;
  return (_name, { all }, done) => {
    if (all) done(null, found);
    else done(null, first, isIP(first));
  };
}

/** The first 4 KiB as text. The status has come: what happens to the rest of the answer changes nothing. */
async function beginningOf(response: http.IncomingMessage): Promise<string> {
  const kept: Buffer[] = [];
  let read = 0;
  const timer = setTimeout(() => response.destroy(), answerRestMs);
  try {
    for await (const chunk of response) {
      const bytes = Buffer.from(chunk);
      if (read < answerKeptBytes) kept.push(bytes.subarray(0, answerKeptBytes - read));
      read += bytes.length;
      if (read >= answerReadBytes) break;
    }
  } catch {
    // Cut off, by the receiver or by the time.
  } finally {
    clearTimeout(timer);
  }
  return readable(Buffer.concat(kept));
}

/**
 * Text of 4 KiB at most, also where bytes that are none become longer. Without control characters: Postgres refuses NUL,
 * and JSON writes each of the others as six.
 */
function readable(bytes: Buffer): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const text = decoded(bytes).replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '\ufffd');
  return decoded(Buffer.from(text).subarray(0, answerKeptBytes));
}

/** A character that is cut in two at the end is left out. */
const decoded = (bytes: Buffer): string => new TextDecoder().decode(bytes, { stream: true });

/** The value, or the signal's error as soon as it is aborted: a resolver hears no signal. */
async function within<T>(signal: AbortSignal, value: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function errorCodeOf(error: unknown): PostError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('HPE_')) return 'answer_malformed';
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_OSSL|EPROTO)/.test(code))
    return 'tls_failed';
  return 'connection_failed';
}
