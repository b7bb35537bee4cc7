/** A small fetch for tests: JSON in, status, headers and parsed body out; it never throws on a status. */

export type HttpAnswer<T = unknown> = { status: number; headers: Headers; body: T; text: string };
export type HttpRequest = {
  token?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of body. */
  raw?: string | Uint8Array<ArrayBuffer>;
  withinMs?: number;
};

/** `T` is what the test expects of the body; it asserts on it, so it is not checked here. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads the fields it asserts on; a parser for each would hide them.
export type Http = <T = any>(method: string, path: string, request?: HttpRequest) => Promise<HttpAnswer<T>>;

/** Requests to one origin, such as a service on its own port or the gateway. */
export function httpTo(origin: string): Http {
  return async (method, path, { token, headers, body, raw, withinMs = 15_000 } = {}) => {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(new URL(path, origin), {
      method,
      redirect: 'manual',
      headers: {
        ...(content === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content }),
      signal: AbortSignal.timeout(withinMs),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  };
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
