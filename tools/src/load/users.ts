/** The accounts of a load: made once, and kept for the next time. */
import { z } from 'zod';
import type { Settings } from '../parts/settings.ts';

const grant = z.object({ access_token: z.string() });
const atATime = 4;

export async function signIn(settings: Settings, tenant: string, email: string): Promise<string> {
  const response = await post(`${settings.get('RAGLINE_URL')}/v1/auth/login`, {
    tenant,
    email,
    password: settings.get('RAGLINE_DEMO_PASSWORD'),
  });
  if (response.status !== 200) throw new Error(`${email} could not sign in: ${await response.text()}`);
  return grant.parse(await response.json()).access_token;
}

/** load-1@load.example and so on, customers of the tenant, with the password of the sample users. */
export async function prepareUsers(settings: Settings, tenant: string, count: number): Promise<void> {
  const origin = settings.get('RAGLINE_URL');
  const token = await signIn(settings, tenant, `admin@${tenant}.example`);
  const wanted = Array.from({ length: count }, (_, i) => `load-${i + 1}@load.example`);
  const work = async () => {
    for (let email = wanted.pop(); email !== undefined; email = wanted.pop()) {
      const user = { email, password: settings.get('RAGLINE_DEMO_PASSWORD'), roles: ['customer'] };
      const answer = await post(`${origin}/v1/users`, user, token);
      // 409: made by an earlier load.
      if (![201, 409].includes(answer.status))
        throw new Error(`${email} was not made: ${await answer.text()}`);
    }
  };
  await Promise.all(Array.from({ length: atATime }, work));
}

function post(url: string, body: unknown, token?: string): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
}
