/** A tenant of its own with webhooks, and who wants what is in them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { eventually } from '../support/eventually.ts';
import type { HttpRequest } from '../support/http.ts';
import { http, tokenOf } from './scene.ts';

export type Role = 'admin' | 'staff' | 'customer';
export type Made = { id: string; secret: string };
export type Scene = Awaited<ReturnType<typeof openScene>>;

/** An administrator of another tenant. */
export const stranger = 'admin@acme';
export const operator = 'operator@ragline';
/** An address that may be called; nobody does. */
export const elsewhere = 'https://1.1.1.1/hooks';

export async function openScene() {
  const slug = `hooks-${randomUUID().slice(0, 8)}`;
  const tokens = new Map<string, string>();
  const secrets: string[] = [];

  const as = async (
    who: Role | typeof stranger | typeof operator,
    way: string,
    request: HttpRequest = {},
  ) => {
    const [method = '', path = ''] = way.split(' ');
    return http(method, path, { ...request, token: tokens.get(who) ?? (await tokenOf(who)) });
  };
  // biome-ignore lint/suspicious/noExplicitAny: as in tests/support/http.ts.
  async function ask(who: Role, way: string, status: number, body?: object): Promise<any> {
    const answer = await as(who, way, body === undefined ? {} : { body });
    assert.equal(answer.status, status, `${way}: ${answer.text}`);
    return answer.body;
  }

  const password = randomUUID();
  const email = (role: Role) => `${role}@${slug}.example`;
  const made = await as(operator, 'POST /v1/tenants', {
    body: { slug, name: 'Hooks', admin: { email: email('admin'), password } },
  });
  assert.equal(made.status, 201, made.text);
  for (const role of ['admin', 'staff', 'customer'] as const) {
    if (role !== 'admin')
      await ask('admin', 'POST /v1/users', 201, { email: email(role), password, roles: [role] });
    const body = { tenant: slug, email: email(role), password };
    tokens.set(role, (await http('POST', '/v1/auth/login', { body })).body.access_token);
  }

  return {
    as,
    /** The body, after asserting the status. */
    ask,
    /** Of all webhooks that were made. */
    secrets,
    async make(body: object): Promise<Made> {
      const webhook = await ask('admin', 'POST /v1/webhooks', 201, body);
      secrets.push(webhook.secret);
      return webhook;
    },
    remove: ({ id }: Made) => ask('admin', `DELETE /v1/webhooks/${id}`, 204),
    async placeOrder(): Promise<void> {
      const product = { name: 'Bread', price: 400, currency: 'EUR' };
      const { id: product_id } = await ask('staff', 'POST /v1/products', 201, product);
      const ordered = await as('customer', 'POST /v1/orders', {
        body: { items: [{ product_id, quantity: 1 }] },
        headers: { 'idempotency-key': randomUUID() },
      });
      assert.equal(ordered.status, 201, ordered.text);
    },
    /** The delivery of a test, once it was tried. */
    async tested({ id }: Made) {
      const { id: deliveryId } = await ask('admin', `POST /v1/webhooks/${id}/test`, 202);
      return eventually(
        async () => {
          const found = await ask('admin', `GET /v1/webhook-deliveries/${deliveryId}`, 200);
          assert.ok(found.attempts.length > 0);
          return found;
        },
        { withinMs: 30_000 },
      );
    },
  };
}
