/** Answers whose JSON is there already, as text. */
import type { ServerResponse } from 'node:http';

export function jsonAnswer(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, {
    ...headers,
    'cache-control': 'no-store',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  // As a string, Node sends it in one piece with the head; a Buffer would be a piece of its own.
  res.end(text);
}
