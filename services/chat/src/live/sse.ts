/** Server-sent events of one conversation, written as fast as the client reads. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export type EventStream = ReturnType<typeof openEventStream>;

const retryMs = 1_000;
// A client that takes nothing for so long is let go; it comes back with the id of the last event it has.
const slowMs = 30_000;

/** Begins the answer. `left` is aborted when the client is gone. */
export function openEventStream(
  req: IncomingMessage,
  res: ServerResponse,
  headers: Record<string, string> = {},
) {
  const left = new AbortController();
  res.on('close', () => left.abort());
  // An answer that was cut off: its client is gone, which is no fault.
  res.on('error', () => left.abort());
  if (req.socket.destroyed) left.abort();
  res.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    ...headers,
  });

  async function write(text: string): Promise<void> {
    if (left.signal.aborted || res.write(text)) return;
    await roomIn(res, left.signal);
  }

  return {
    left: left.signal,
    /** Resolves when the client can take more; one that cannot for too long is cut off. */
    event: (type: string, data: object, id: string | undefined): Promise<void> =>
      write(frameOf(type, data, id)),
    /** How long the client waits before it comes back: spread, so that not all come at once. */
    retry: (): Promise<void> => write(`retry: ${Math.round(retryMs * (1 + Math.random()))}\n\n`),
    end(): void {
      if (!left.signal.aborted) res.end();
    },
  };
}

/** Resolves when the client has taken what waits for it, or the signal is aborted; a client that is too slow is cut off. */
export async function roomIn(res: ServerResponse, signal: AbortSignal): Promise<void> {
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  res.once('drain', resolve);
  const waiting = new AbortController();
  const isSlow = await Promise.race([
    drained.then(() => false),
    delay(slowMs, true, { signal: AbortSignal.any([waiting.signal, signal]) }).catch(() => false),
  ]);
  waiting.abort();
  res.off('drain', resolve);
  if (isSlow) res.destroy();
}

/** One event. JSON has no line ends of its own, so one line of data is enough. */
export function frameOf(type: string, data: object, id: string | undefined): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
