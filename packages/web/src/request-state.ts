/** What the pieces of this package know about one request, beside Express's own object. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Principal } from './principal.ts';

export type RequestState = {
  request_id: string;
  /** The route's template, for metrics: never a path, of which there are too many. */
  route?: string;
  principal?: Principal;
  /** Marks the request's span as failed; absent when nothing records it. */
  fail?: (error: unknown) => void;
};

const states = new WeakMap<IncomingMessage, RequestState>();

/** The state of a request; made on first use, with the client's X-Request-Id when that is a valid one. */
export function stateOf(req: IncomingMessage): RequestState {
  let state = states.get(req);
  if (state === undefined) {
    state = { request_id: requestIdFrom(req.headers['x-request-id']) };
    states.set(req, state);
  }
  return state;
}

/** Keeps an id of 1 to 128 letters, digits and `._:-`, so that it is safe in any log and header; else a new one. */
export function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : randomUUID();
}
