/** A signed-in user of the stack under test: keeps its access token young, retries while the stack is hurt. */
export type Session = {
  url: string;
  tenantId: string;
  userId: string;
  /** A token that is good for at least another minute. */
  token(): Promise<string>;
};

type Grant = { access_token: string; expires_in: number; user: { id: string; tenant_id: string } };

export async function signIn(url: string, tenant: string, email: string, password: string): Promise<Session> {
  const login = async (): Promise<Grant> => {
    const response = await fetch(`${url}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tenant, email, password }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`sign-in as ${email} answered ${response.status}`);
    return (await response.json()) as Grant;
  };
  let grant = await login();
  let goodUntil = Date.now() + grant.expires_in * 1000;
  return {
    url,
    tenantId: grant.user.tenant_id,
    userId: grant.user.id,
    async token() {
      if (Date.now() > goodUntil - 60_000) {
        grant = await login();
        goodUntil = Date.now() + grant.expires_in * 1000;
      }
      return grant.access_token;
    },
  };
}
