/** Answers that the gateway itself gives, over an open response or on a bare socket. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Problem, type ProblemCode, problem, problemBody } from '@ragline/web/problems';

/** A problem after which the connection cannot be read on: its next bytes may belong to the refused request. */
export function closingProblem(code: ProblemCode, detail: string): Problem {
  return problem(code, detail, { headers: { connection: 'close' } });
}

export function sendJson(res: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  res.statusCode = status;
  res.setHeader('content-type', 'application/json; charset=utf-8');
  res.setHeader('content-length', body.length);
  res.setHeader('cache-control', 'no-store');
  res.end(body);
}

/** Writes a problem where there is no response object, and ends the connection. */
export function refuseSocket(socket: Duplex, from: Problem, requestId: string): void {
  const body = Buffer.from(JSON.stringify(problemBody(from, requestId)));
  const headers = {
    ...from.headers,
    'content-type': 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `HTTP/1.1 ${from.status} ${STATUS_CODES[from.status] ?? ''}\r\n`;
  endSocket(socket, Buffer.concat([Buffer.from(`${status}${head.join('')}\r\n`), body]));
}

const lingerMs = 1_000;

/**
 * Sends the last bytes and closes. The peer's own bytes are read and dropped for a moment: closing on top of
 * them would reset the connection and could take the answer away before it was read.
 */
export function endSocket(socket: Duplex, last?: Buffer): void {
  if (socket.destroyed) return;
  socket.on('error', () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => {
    if (socket.writableFinished) socket.destroy();
    else socket.once('finish', () => socket.destroy());
  });
  socket.end(last);
  socket.resume();
}
