/**
 * Who is signed in. The tokens live in this tab's session storage: a reload keeps them, closing the tab
 * does not. No script but this page's own can run here (see the content security policy).
 */
const key = 'ragline.session';

/** @returns {{access_token: string, refresh_token: string, ends_at: number, user: object} | undefined} */
export function current() {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(answer, before) {
  const session = {
    access_token: answer.access_token,
    refresh_token: answer.refresh_token ?? before?.refresh_token,
    ends_at: Date.now() + answer.expires_in * 1000,
    user: answer.user ?? before?.user,
  };
  sessionStorage.setItem(key, JSON.stringify(session));
  return session;
}

export function forget() {
  sessionStorage.removeItem(key);
}

async function post(path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok)
    throw Object.assign(new Error(data.detail ?? data.title ?? 'failed'), { status: answer.status });
  return data;
}

export async function signIn(tenant, email, password) {
  return keep(await post('/v1/auth/login', { tenant, email, password }));
}

export async function signOut() {
  const session = current();
  forget();
  if (!session) return;
  await post('/v1/auth/logout', { refresh_token: session.refresh_token }, session.access_token).catch(
    () => {},
  );
}

let refreshing;

/** A new access token; all who ask at once get the same one. Undefined: the session is over. */
export function refresh() {
  refreshing ??= renew().finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

async function renew() {
  const session = current();
  if (!session) return undefined;
  try {
    return keep(await post('/v1/auth/refresh', { refresh_token: session.refresh_token }), session)
      .access_token;
  } catch (error) {
    // Only a refusal ends the session; a network that is away does not.
    if (error.status !== 401 && error.status !== 403 && error.status !== 422) throw error;
    forget();
    return undefined;
  }
}

/** An access token that is good for half a minute at least, or undefined. */
export async function token() {
  const session = current();
  if (!session) return undefined;
  return session.ends_at - Date.now() > 30_000 ? session.access_token : refresh();
}

/** Whether the signed-in user has one of these roles. */
export function hasRole(...roles) {
  return roles.some((role) => current()?.user?.roles?.includes(role));
}
