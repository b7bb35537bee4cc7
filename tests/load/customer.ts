/** What customers do, for the scenarios beside: sign in, look around, order, and watch the order move. */
import { check, fail, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

/** From the moment at which an order is sent until its event is on a socket of its customer, in ms. */
export const orderToSocket = new Trend('order_to_socket', true);
export const eventsSeen = new Rate('order_events_seen');

/** Goals of the design: what the original took for an order and for its way to a socket. */
export const goals = {
  http_req_failed: ['rate<0.001'],
  checks: ['rate>0.999'],
  'http_req_duration{name:POST /v1/orders}': ['p(95)<115'],
  'http_req_duration{name:GET /v1/products}': ['p(95)<115'],
  'http_req_duration{name:GET /v1/products/{id}}': ['p(95)<115'],
};
export const socketGoals = { order_to_socket: ['p(95)<500'], order_events_seen: ['rate>0.999'] };

const origin = setting('RAGLINE_URL');
// Below the 15 minutes that a token lives.
const tokenMs = 10 * 60_000;
const watchMs = 10_000;
const words = ['pizza', 'pasta', 'salad', 'cheese', 'tomato'];

let signedIn: { token: string; at: number } | undefined;

/** The token of this virtual user's own account. */
function token(): string {
  if (signedIn !== undefined && Date.now() - signedIn.at < tokenMs) return signedIn.token;
  const body = {
    tenant: setting('LOAD_TENANT'),
    email: `load-${1 + ((exec.vu.idInTest - 1) % Number(setting('LOAD_USERS')))}@load.example`,
    password: setting('RAGLINE_DEMO_PASSWORD'),
  };
  const answer = http.post(`${origin}/v1/auth/login`, JSON.stringify(body), {
    headers: { 'content-type': 'application/json' },
    tags: { name: 'POST /v1/auth/login' },
  });
  if (!check(answer, { 'signed in': ({ status }) => status === 200 })) {
    fail(`${body.email} could not sign in: ${answer.status} ${answer.body}`);
  }
  signedIn = { token: String(answer.json('access_token')), at: Date.now() };
  return signedIn.token;
}

function params(name: string, more: Record<string, string> = {}) {
  return { headers: { authorization: `Bearer ${token()}`, ...more }, tags: { name } };
}

/** Looks at lists and at some products; returns the ids of products that can be ordered. */
export function browse(): string[] {
  const query = pick(['', '&category=pizza', `&q=${pick(words)}`, '&sort=price']);
  const list = http.get(`${origin}/v1/products?available=true&limit=20${query}`, params('GET /v1/products'));
  check(list, { 'products listed': ({ status }) => status === 200 });
  const ids = list.status === 200 ? idsOf(list.json('data')) : [];
  for (const id of ids.slice(0, 3)) {
    const one = http.get(`${origin}/v1/products/${id}`, params('GET /v1/products/{id}'));
    check(one, { 'product shown': ({ status }) => status === 200 });
    think(0.2, 0.8);
  }
  return ids;
}

/** Places one order; returns its id, and when it was sent (ms since the epoch). */
export function order(ids: readonly string[]): { id: string; sentAt: number } | undefined {
  if (ids.length === 0) return undefined;
  const items = [{ product_id: pick(ids), quantity: 1 + Math.floor(Math.random() * 3) }];
  const headers = { 'content-type': 'application/json', 'idempotency-key': newKey() };
  const sentAt = Date.now();
  const answer = http.post(
    `${origin}/v1/orders`,
    JSON.stringify({ items }),
    params('POST /v1/orders', headers),
  );
  check(answer, { 'order placed': ({ status }) => status === 201 });
  return answer.status === 201 ? { id: String(answer.json('id')), sentAt } : undefined;
}

/** Opens a socket, orders, and waits for the event of that very order. */
export function orderAndWatch(ids: readonly string[]): void {
  const authorization = `Bearer ${token()}`;
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/ws/orders`, null, {
    headers: { authorization },
    tags: { name: 'WS /ws/orders' },
  });
  let placed: { id: string; sentAt: number } | undefined;
  // An event may overtake the answer of the request that caused it.
  const arrived: Record<string, number> = {};
  let isDone = false;
  const settle = () => {
    const at = placed && arrived[placed.id];
    if (isDone || placed === undefined || at === undefined) return;
    isDone = true;
    orderToSocket.add(at - placed.sentAt);
    eventsSeen.add(true);
    socket.close();
  };
  socket.onmessage = (received) => {
    const message = JSON.parse(String(received?.data));
    if (message.type === 'event' && message.event_type === 'order_created') {
      arrived[message.data.order.id] ??= Date.now();
      settle();
    }
    if (message.type === 'welcome') {
      placed = order(ids);
      if (placed === undefined) socket.close();
      settle();
    }
  };
  setTimeout(() => {
    if (!isDone && placed !== undefined) eventsSeen.add(false);
    socket.close();
  }, watchMs);
}

/** A customer's visit: everyone looks around, a third orders, half of these watch. */
export function visit(): void {
  const ids = browse();
  think(0.5, 1.5);
  const chance = Math.random();
  if (chance < 1 / 6) orderAndWatch(ids);
  else if (chance < 1 / 3) order(ids);
}

/** People pause; seconds. */
export function think(from: number, to: number): void {
  sleep(from + Math.random() * (to - from));
}

function idsOf(products: unknown): string[] {
  return Array.isArray(products) ? products.map(({ id }) => String(id)) : [];
}

function newKey(): string {
  return `load-${exec.vu.idInTest}-${exec.vu.iterationInInstance}-${Math.random().toString(36).slice(2)}`;
}

function pick<T>(values: readonly T[]): T {
  const value = values[Math.floor(Math.random() * values.length)];
  if (value === undefined) throw new Error('Nothing to pick from');
  return value;
}

function setting(name: string): string {
  const value = __ENV[name];
  if (!value) throw new Error(`${name} is not set: start this by "npm run load NAME"`);
  return value;
}
