/**
 * Request bodies are read whole, within bounds, before a service hears of them. So a slow sender costs the
 * services nothing, and the body goes on under a length that the gateway counted itself: how the client
 * framed it cannot be understood differently behind.
 */
import type { IncomingMessage } from 'node:http';
import type { Problem } from '@ragline/web/problems';
import { closingProblem } from './answer.ts';

export type ReadBody = { body: Buffer; release: () => void } | { refusal: Problem } | { gone: true };
export type BodyReader = ReturnType<typeof createBodyReader>;

export function createBodyReader(limits: { maxBytes: number; withinMs: number; allMaxBytes: number }) {
  let heldBytes = 0;

  /** What is wrong with the body as announced by the headers, if anything. */
  function refusalOf(req: IncomingMessage, maxBytes = limits.maxBytes): Problem | undefined {
    const {
      'transfer-encoding': transferEncoding,
      'content-length': length,
      'content-encoding': encoding,
    } = req.headers;
    if (transferEncoding !== undefined && length !== undefined) {
      return closingProblem('malformed', 'Content-Length and Transfer-Encoding exclude each other.');
    }
    if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
      return closingProblem('malformed', 'The only transfer coding is chunked.');
    }
    if (transferEncoding !== undefined && req.httpVersion === '1.0') {
      return closingProblem('malformed', 'HTTP/1.0 has no transfer coding.');
    }
    const hasBody = transferEncoding !== undefined || (length !== undefined && length !== '0');
    if (hasBody && (req.method === 'GET' || req.method === 'HEAD')) {
      return closingProblem('malformed', `${req.method} has no body.`);
    }
    if (hasBody && encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return closingProblem('unsupported_media_type', 'Bodies must come without a Content-Encoding.');
    }
    if (length !== undefined && Number(length) > maxBytes) return tooLarge(maxBytes);
    return undefined;
  }

  function tooLarge(maxBytes: number): Problem {
    return closingProblem('too_large', `A body may have ${maxBytes} bytes.`);
  }

  /** Reads the body to its end. Whoever gets one must call `release` once it is no longer held. */
  function read(req: IncomingMessage, maxBytes = limits.maxBytes): Promise<ReadBody> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const release = () => {
        heldBytes -= bytes;
        bytes = 0;
      };
      const settle = (outcome: ReadBody) => {
        clearTimeout(timer);
        req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
        if (!('body' in outcome)) release();
        // Read on and drop: the answer to a request that is still being sent would not be seen.
        if ('refusal' in outcome) req.on('error', () => {}).resume();
        resolve(outcome);
      };
      const onData = (chunk: Buffer) => {
        bytes += chunk.length;
        heldBytes += chunk.length;
        chunks.push(chunk);
        if (bytes > maxBytes) settle({ refusal: tooLarge(maxBytes) });
        else if (heldBytes > limits.allMaxBytes) {
          settle({ refusal: closingProblem('unavailable', 'Too many bodies are on their way.') });
        }
      };
      const onEnd = () => settle({ body: Buffer.concat(chunks), release });
      const onClose = () => settle({ gone: true });
      const timer = setTimeout(
        () => settle({ refusal: closingProblem('timeout', 'The body took too long to arrive.') }),
        limits.withinMs,
      );
      req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    });
  }

  return { refusalOf, read, heldBytes: () => heldBytes };
}
