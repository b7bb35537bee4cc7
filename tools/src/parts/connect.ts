/** Kafka Connect's REST interface. */

export type ConnectAnswer = { status: number; body: unknown };

/** Connect did not do what it was asked to. */
export class ConnectError extends Error {
  override name = 'ConnectError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** @param connectUrl such as http://user:password@127.0.0.1:8083 */
export function connectClient(connectUrl: string) {
  const url = new URL(connectUrl);
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
  if (url.username) {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }

  /** The JSON of a good answer; undefined for 404. Throws ConnectError else, and Error when nothing answers. */
  return async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(new URL(path, url.origin), {
      method,
      headers,
      signal: AbortSignal.timeout(30_000),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new Error(`Connect at ${url.host} does not answer`, { cause });
    });
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok)
      throw new ConnectError(response.status, `Connect answered ${response.status}: ${messageIn(text)}`);
    return text === '' ? null : JSON.parse(text);
  };
}

export type ConnectClient = ReturnType<typeof connectClient>;

function messageIn(text: string): string {
  try {
    return String(JSON.parse(text).message);
  } catch {
    return text.slice(0, 300);
  }
}
