/** The head of an upgrade towards a service, and the service's answer to it. */
import { STATUS_CODES } from 'node:http';
import type net from 'node:net';
import { answerHeaders } from './headers.ts';

export type HandshakeAnswer =
  | { kind: 'accepted'; bytes: Buffer }
  | { kind: 'refused'; status: number; bytes: Buffer }
  | { kind: 'failed'; why: string };

const headMaxBytes = 16 * 1024;
const refusalMaxBytes = 64 * 1024;
const lineEnd = '\r\n';
const headEnd = '\r\n\r\n';

/** The request that asks a service to upgrade. Header values come from Node's parser and hold no line ends. */
export function headOf(target: string, host: string, headers: Record<string, string>): string {
  const lines = [`GET ${target} HTTP/1.1`, `host: ${host}`, 'connection: Upgrade', 'upgrade: websocket'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return lines.join(lineEnd) + headEnd;
}

/**
 * Reads the answer's head. `accepted`: what to write to the client, frames that came along included.
 * `refused`: a whole answer for the client, after which its connection must end.
 */
export function readAnswerHead(socket: net.Socket, withinMs: number): Promise<HandshakeAnswer> {
  return new Promise((resolve) => {
    let read: Buffer = Buffer.alloc(0);
    const settle = (answer: HandshakeAnswer) => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      socket.pause();
      resolve(answer);
    };
    const onClose = () => {
      const answer = parse(read, true);
      settle(answer ?? { kind: 'failed', why: 'the connection closed' });
    };
    const onData = (chunk: Buffer) => {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
      const answer = parse(read, false);
      if (answer) settle(answer);
    };
    const timer = setTimeout(() => settle({ kind: 'failed', why: 'no answer in time' }), withinMs);
    socket.on('data', onData).on('close', onClose);
  });
}

function parse(read: Buffer, isClosed: boolean): HandshakeAnswer | undefined {
  const end = read.indexOf(headEnd);
  if (end < 0) {
    return read.length > headMaxBytes ? { kind: 'failed', why: 'the answer has no end' } : undefined;
  }
  const [statusLine = '', ...lines] = read.subarray(0, end).toString('latin1').split(lineEnd);
  const status = Number(/^HTTP\/1\.[01] (\d{3})( |$)/.exec(statusLine)?.[1] ?? Number.NaN);
  const headers = headersOf(lines);
  if (!Number.isInteger(status) || !headers) return { kind: 'failed', why: 'the answer is not HTTP' };
  const rest = read.subarray(end + headEnd.length);
  if (status === 101) {
    if (headers.upgrade?.toLowerCase() !== 'websocket') {
      return { kind: 'failed', why: 'the answer upgrades to something else' };
    }
    const head = headText(101, answerHeaders(headers), ['connection: Upgrade', 'upgrade: websocket']);
    return { kind: 'accepted', bytes: Buffer.concat([Buffer.from(head, 'latin1'), rest]) };
  }
  if (status < 200) return { kind: 'failed', why: `an answer of ${status}` };
  const body = bodyOf(rest, headers, isClosed);
  if (body === undefined) return undefined;
  const passed = answerHeaders(headers);
  delete passed['content-length'];
  const head = headText(status, passed, [`content-length: ${body.length}`, 'connection: close']);
  return { kind: 'refused', status, bytes: Buffer.concat([Buffer.from(head, 'latin1'), body]) };
}

/** A refusal's body; undefined while it is not all there. An odd framing means none: only the status counts. */
function bodyOf(rest: Buffer, headers: Record<string, string>, isClosed: boolean): Buffer | undefined {
  const length = headers['content-length'];
  if (headers['transfer-encoding'] !== undefined || length === undefined || !/^\d{1,6}$/.test(length)) {
    return Buffer.alloc(0);
  }
  const bytes = Math.min(Number(length), refusalMaxBytes);
  if (rest.length >= bytes) return rest.subarray(0, bytes);
  return isClosed ? Buffer.alloc(0) : undefined;
}

function headersOf(lines: string[]): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (!found?.[1] || hasControl(found[2] ?? '')) return undefined;
    const name = found[1].toLowerCase();
    headers[name] = name in headers ? `${headers[name]}, ${found[2]}` : (found[2] ?? '');
  }
  return headers;
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}

function headText(status: number, headers: Record<string, string | string[]>, last: string[]): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`];
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${each}`);
  }
  return [...lines, ...last].join(lineEnd) + headEnd;
}
