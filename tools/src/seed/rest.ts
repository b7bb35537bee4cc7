/** Seeding speaks to the gateway like any client: REST, signed in, with idempotency keys. */

/** The gateway did not do what a seed needs. */
export class SeedError extends Error {
  override readonly name = 'SeedError';
}

export type Json = Record<string, unknown>;
export type Rest = {
  get(path: string): Promise<Json>;
  post(path: string, body: Json, idempotencyKey?: string): Promise<Json>;
  /** All rows of a list, page by page. */
  all(path: string): Promise<Json[]>;
};

const withinMs = 30_000;

/** Signs in. Throws SeedError saying what was asked and what was answered. */
export async function signIn(
  url: string,
  credentials: { tenant: string; email: string; password: string },
): Promise<Rest> {
  const { access_token } = await request(url, 'POST', '/v1/auth/login', { body: credentials });
  const headers = { authorization: `Bearer ${String(access_token)}` };
  const get = (path: string) => request(url, 'GET', path, { headers });
  return {
    get,
    post: (path, body, key) =>
      request(url, 'POST', path, { body, headers: { ...headers, ...(key && { 'idempotency-key': key }) } }),
    async all(path) {
      const rows: Json[] = [];
      let cursor: unknown = null;
      do {
        const query = new URLSearchParams({ limit: '200', ...(typeof cursor === 'string' && { cursor }) });
        const page = await get(`${path}?${query}`);
        rows.push(...rowsOf(page));
        cursor = page.next_cursor;
      } while (typeof cursor === 'string');
      return rows;
    },
  };
}

/** The rows of one page. */
export function rowsOf(page: Json): Json[] {
  return Array.isArray(page.data) ? page.data.filter(isJson) : [];
}

async function request(
  url: string,
  method: string,
  path: string,
  { body, headers }: { body?: Json; headers?: Record<string, string> },
): Promise<Json> {
  const response = await fetch(new URL(path, url), {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(withinMs),
  });
  const text = await response.text();
  const answer = jsonFrom(text);
  if (response.ok && answer !== undefined) return answer;
  const why =
    answer === undefined ? text.slice(0, 200) : [answer.code, answer.detail].filter(Boolean).join(': ');
  throw new SeedError(`${method} ${path} answered ${response.status} ${why}`);
}

function jsonFrom(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
