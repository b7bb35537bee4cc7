/** Answers whose JSON is there already, as text. */
import type { ServerResponse } from 'node:http';

export function jsonAnswer(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  const body = Buffer.from(text);
  res.writeHead(status, {
    ...headers,
    'cache-control': 'no-store',
    'content-type': 'application/json',
    'content-length': body.length,
  });
  res.end(body);
}
