/** REST, with the token of whoever is signed in. */
import * as session from './session.js';

export class Refused extends Error {
  constructor(status, problem) {
    super(
      problem.errors?.[0]?.message ?? problem.detail ?? problem.title ?? `The server answered ${status}.`,
    );
    this.status = status;
    this.code = problem.code;
    this.members = problem;
  }
}

export async function call(method, path, { body, headers } = {}, isSecond = false) {
  const token = await session.token();
  if (!token) throw new Refused(401, { code: 'unauthenticated', detail: 'Please sign in again.' });
  const answer = await fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (answer.status === 401 && !isSecond && (await session.refresh())) {
    return call(method, path, { body, headers }, true);
  }
  const data = answer.status === 204 ? undefined : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, data ?? {});
  return { data, headers: answer.headers };
}

export const productsShownMax = 30;

export async function products(q) {
  const query = new URLSearchParams({
    available: 'true',
    limit: String(productsShownMax),
    ...(q ? { q } : {}),
  });
  return (await call('GET', `/v1/products?${query}`)).data.data;
}

/** A page of orders, and a cursor taken before it was read: following from there misses nothing. */
export async function orders(cursor) {
  const query = new URLSearchParams({ limit: '20', ...(cursor ? { cursor } : {}) });
  const { data, headers } = await call('GET', `/v1/orders?${query}`);
  return { orders: data.data, next: data.next_cursor, position: headers.get('stream-position') ?? undefined };
}

/** @param {string} key the same for each try of the same order, so that it is placed once */
export async function placeOrder(items, key) {
  return (await call('POST', '/v1/orders', { body: { items }, headers: { 'idempotency-key': key } })).data;
}

export async function moveOrder(id, status) {
  return (await call('POST', `/v1/orders/${id}/status`, { body: { status } })).data;
}

export async function cancelOrder(id) {
  return (await call('POST', `/v1/orders/${id}/cancel`, { body: {} })).data;
}

export async function history(id) {
  const { data } = await call('GET', `/v1/orders/${id}/history`);
  return Array.isArray(data) ? data : data.data;
}

export async function ticket() {
  return (await call('POST', '/v1/auth/tickets', { body: {} })).data.ticket;
}
