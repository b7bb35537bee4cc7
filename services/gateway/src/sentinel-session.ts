/** The sentinel's sign-in over REST, like anyone's. */

export type SentinelSession = ReturnType<typeof createSession>;

type Token = { text: string; goodUntil: number };

const tenant = 'sentinel';
const renewBeforeMs = 120_000;
// Several sockets ask at once after a failure; one try in this time is enough.
const triesEveryMs = 5_000;
const answerWithinMs = 8_000;

/** @param origin where the gateway itself can be reached, such as http://127.0.0.1:8080 */
export function createSession(options: { origin: string; email: string; password: string }) {
  let current: Promise<Token> | undefined;
  let goodUntil = 0;
  let triedAt = 0;

  async function signIn(): Promise<Token> {
    const answer = await call(options.origin, 'POST', '/v1/auth/login', {
      body: { tenant, email: options.email, password: options.password },
    });
    const text = textAt(answer.body, 'access_token');
    const expiresInS = numberAt(answer.body, 'expires_in');
    if (text === undefined || expiresInS === undefined) throw new Error('the sign-in gave no token');
    return { text, goodUntil: Date.now() + expiresInS * 1000 - renewBeforeMs };
  }

  return {
    /** A token that is good for two minutes at least. */
    async token(): Promise<string> {
      const now = Date.now();
      if (!current || (now > goodUntil && now - triedAt > triesEveryMs)) {
        triedAt = now;
        goodUntil = Number.POSITIVE_INFINITY;
        current = signIn();
        current.then(
          (it) => {
            goodUntil = it.goodUntil;
          },
          () => {
            goodUntil = 0;
          },
        );
      }
      return (await current).text;
    },

    /** To be called when a token was refused: the next one is new. */
    forget(): void {
      goodUntil = 0;
    },
  };
}

/** Calls the public REST surface. Throws when the answer is no success. */
export async function call(
  origin: string,
  method: 'GET' | 'POST',
  path: string,
  options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(new URL(path, origin), {
    method,
    headers: {
      accept: 'application/json',
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(answerWithinMs),
  });
  const body: unknown = await answer.json().catch(() => undefined);
  if (!answer.ok) throw new CallError(`${method} ${path} answered ${answer.status}`, answer.status);
  return { status: answer.status, body };
}

export class CallError extends Error {
  override readonly name = 'CallError';
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The text at a path of names inside of something that was read, or undefined. */
export function textAt(value: unknown, ...names: string[]): string | undefined {
  const found = valueAt(value, names);
  return typeof found === 'string' ? found : undefined;
}

export function numberAt(value: unknown, ...names: string[]): number | undefined {
  const found = valueAt(value, names);
  return typeof found === 'number' ? found : undefined;
}

function valueAt(value: unknown, names: string[]): unknown {
  let found = value;
  for (const name of names) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Object.entries(found).find(([key]) => key === name)?.[1];
  }
  return found;
}
