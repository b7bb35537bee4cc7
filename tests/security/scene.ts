/** Who takes part in these tests: the sample users of the running stack, signed in once. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';
import { httpTo } from '../support/http.ts';

export const origin = setting('RAGLINE_URL');
const password = setting('RAGLINE_DEMO_PASSWORD');
export const http = httpTo(origin);

const tokens = new Map<string, Promise<string>>();

/** An access token of a sample user, such as `staff@demo`; `operator@ragline` too. */
export function tokenOf(user: string): Promise<string> {
  const known = tokens.get(user);
  if (known) return known;
  const made = signIn(user);
  tokens.set(user, made);
  return made;
}

async function signIn(user: string): Promise<string> {
  const [, tenant] = user.split('@');
  const body = { tenant, email: `${user}.example`, password };
  const answer = await http('POST', '/v1/auth/login', { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body.access_token;
}

const products = new Map<string, string>();

/** Places an order of one product of the user's tenant. */
export async function placeOrder(user: string): Promise<{ id: string; tenant_id: string; user_id: string }> {
  const token = await tokenOf(user);
  const tenant = user.split('@')[1] ?? '';
  let productId = products.get(tenant);
  if (productId === undefined) {
    const listed = await http('GET', '/v1/products?limit=1&available=true', { token });
    const found: string = listed.body.data[0].id;
    productId = found;
    products.set(tenant, found);
  }
  const answer = await http('POST', '/v1/orders', {
    token,
    body: { items: [{ product_id: productId, quantity: 1 }] },
    headers: { 'idempotency-key': randomUUID() },
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.body;
}

export type Message = {
  type: string;
  id?: string;
  code?: string;
  channel?: string;
  cursor?: string;
  data?: { tenant_id: string; user_id: string; order?: { id: string } };
};

/** An open socket that keeps what it is told. */
export async function openSocket(user: string, path = '/ws') {
  const socket = new WebSocket(new URL(path, origin.replace(/^http/, 'ws')), {
    headers: { authorization: `Bearer ${await tokenOf(user)}` },
  });
  const messages: Message[] = [];
  socket.on('message', (data) => messages.push(JSON.parse(String(data))));
  socket.on('error', () => {});
  const closed = once(socket, 'close').then(([code]) => Number(code));
  await once(socket, 'open');
  return {
    socket,
    messages,
    closed,
    send: (message: object) => socket.send(JSON.stringify(message)),
    close: () => socket.terminate(),
    /** The events among the messages, as orders' ids. */
    orders: () =>
      messages.flatMap(({ type, data }) => (type === 'event' && data?.order ? [data.order.id] : [])),
  };
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see "npx ragline env"`);
  return value;
}
