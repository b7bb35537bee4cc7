/** REST for commands: signed in when it is needed, and again when the token has ended. */
import type { Command } from 'commander';
import type { Settings } from '../parts/settings.ts';
import { isJson, type Json } from '../seed/rest.ts';

/** `token` null: signs in, whatever RAGLINE_TOKEN says. */
export type LoginOptions = { url?: string; token?: string | null; login?: string; password?: string };

/** Options that every command over REST has. `login`: who signs in when nobody is named. */
export function withLogin(command: Command, login = 'ragline/operator@ragline.example'): Command {
  return command
    .option('--url <url>', 'the gateway; else RAGLINE_URL, else the stack that runs here')
    .option('--token <token>', 'an access token; else RAGLINE_TOKEN, else it signs in')
    .option('--login <tenant/email>', 'who signs in', login)
    .option('--password <password>', 'better RAGLINE_PASSWORD; else RAGLINE_DEMO_PASSWORD');
}

/** What the gateway answered instead of what was asked for. */
export class RestError extends Error {
  override readonly name = 'RestError';
  readonly status: number;
  readonly code: string | undefined;
  /** What in the request was wrong, as `errors` of a 422 names it. */
  readonly paths: readonly string[];

  constructor(what: string, status: number, body: unknown) {
    const { code, detail, title, errors } = isJson(body) ? body : {};
    const fields = Array.isArray(errors) ? errors.filter(isJson) : [];
    const why = [code, detail ?? title].filter((part) => typeof part === 'string').join(': ');
    super(
      [`${what} answered ${status} ${why}`, ...fields.map((one) => `  ${one.path}: ${one.message}`)].join(
        '\n',
      ),
    );
    this.status = status;
    this.paths = fields.map(({ path }) => String(path));
    this.code = typeof code === 'string' ? code : undefined;
  }
}

export type Request = { body?: Json; headers?: Record<string, string>; withinMs?: number };
export type Answer = { status: number; headers: Headers; body: Json };
export type Client = ReturnType<typeof createClient>;

const withinMs = 30_000;

export function createClient(settings: Settings, options: LoginOptions) {
  const url = options.url ?? settings.get('RAGLINE_URL');
  const given = options.token === null ? undefined : (options.token ?? settings.find('RAGLINE_TOKEN'));
  let token = given;

  async function signIn(): Promise<string> {
    const [tenant, email] = (options.login ?? '').split('/');
    if (!tenant || !email)
      throw new Error('--login is a tenant and an address: ragline/operator@ragline.example');
    const password =
      options.password ?? settings.find('RAGLINE_PASSWORD') ?? settings.get('RAGLINE_DEMO_PASSWORD');
    const answer = await fetchOnce(
      'POST',
      '/v1/auth/login',
      { body: { tenant, email, password } },
      undefined,
    );
    const body = await bodyOf(answer, 'Signing in');
    if (typeof body.access_token !== 'string') throw new Error('Signing in gave no token');
    return body.access_token;
  }

  function fetchOnce(
    method: string,
    path: string,
    request: Request,
    bearer: string | undefined,
  ): Promise<Response> {
    const { body, headers } = request;
    return fetch(new URL(path, url), {
      method,
      headers: {
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(request.withinMs ?? withinMs),
    }).catch((cause: Error) => {
      throw new Error(
        `${url} does not answer: ${cause.cause instanceof Error ? cause.cause.message : cause.message}`,
        {
          cause,
        },
      );
    });
  }

  /** Any status; a token that has ended is replaced once. */
  async function send(method: string, path: string, request: Request = {}): Promise<Response> {
    token ??= await signIn();
    const answer = await fetchOnce(method, path, request, token);
    if (answer.status !== 401 || given !== undefined) return answer;
    await answer.body?.cancel();
    token = await signIn();
    return fetchOnce(method, path, request, token);
  }

  /** Throws RestError for anything but 2xx. */
  async function call(method: string, path: string, request: Request = {}): Promise<Answer> {
    const answer = await send(method, path, request);
    return {
      status: answer.status,
      headers: answer.headers,
      body: await bodyOf(answer, `${method} ${path.split('?')[0]}`),
    };
  }

  return {
    url,
    send,
    call,
    get: async (path: string): Promise<Json> => (await call('GET', path)).body,
    post: async (path: string, body: Json = {}): Promise<Json> => (await call('POST', path, { body })).body,
  };
}

async function bodyOf(answer: Response, what: string): Promise<Json> {
  const text = await answer.text();
  let body: unknown;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (answer.ok && isJson(body)) return body;
  throw new RestError(what, answer.status, body);
}

/** Names and values that were given, as a query. */
export function queryOf(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
