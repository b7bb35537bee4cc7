/** JSON bodies, read strictly: what cannot be read is a problem before any handler sees it. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { json } from 'body-parser';
import type { RequestHandler } from 'express';
import { problem } from './problems.ts';

export const bodyLimitDefault = 1_048_576;

const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * Parses the body into `req.body`; undefined when the request has none.
 *
 * Problems: `unsupported_media_type` for another type or a compressed body, `too_large`, and `malformed` for what
 * is no JSON or no UTF-8. body-parser's own errors are translated by problemFrom.
 */
export function jsonBody(limitBytes: number): RequestHandler {
  const parse = json({
    limit: limitBytes,
    // The media type was judged already, and a bare number is JSON too: the schema says what is wrong with it.
    type: () => true,
    strict: false,
    // A small compressed body can be large: nobody needs it for orders.
    inflate: false,
    verify(_req, _res, bytes) {
      // Decoding would silently replace what is no UTF-8, and store something else than was sent.
      if (!isUtf8(bytes)) throw problem('malformed', 'The body is not valid UTF-8.');
    },
  });

  return (req, res, next) => {
    if (!hasBody(req)) {
      req.body = undefined;
      return next();
    }
    if (!jsonType.test(req.headers['content-type'] ?? '')) {
      return next(problem('unsupported_media_type', 'Send the body as application/json.'));
    }
    parse(req, res, next);
  };
}

function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}
