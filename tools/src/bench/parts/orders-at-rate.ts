/** Orders at a steady rate, and when each was written: for measurements of what follows from them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Settings } from '../../parts/settings.ts';

/** Moments in ms since the epoch, by event id. */
export type Moments = Map<string, number>;

const grantShape = z.object({ access_token: z.string() });
const productsShape = z.object({ data: z.array(z.object({ id: z.string() })).min(1) });

/** An access token of a sample user of the tenant acme. */
export async function signIn(settings: Settings, who: 'customer' | 'staff' | 'admin'): Promise<string> {
  const password = settings.get('RAGLINE_DEMO_PASSWORD');
  const body = { tenant: 'acme', email: `${who}@acme.example`, password };
  const { access_token } = await ask(`${settings.get('RAGLINE_URL')}/v1/auth/login`, body, grantShape);
  return access_token;
}

/** Gives what places orders of acme's customer at the orders service's own port: so many a second, so many in all. */
export async function orderAt(settings: Settings): Promise<(rate: number, count: number) => Promise<number>> {
  const token = await signIn(settings, 'customer');
  const products = await ask(
    `${settings.get('RAGLINE_URL')}/v1/products?available=true&limit=1`,
    undefined,
    productsShape,
    token,
  );
  const body = JSON.stringify({ items: [{ product_id: products.data[0]?.id, quantity: 1 }] });
  const url = `${settings.get('URL_ORDERS_1')}/v1/orders`;
  return (rate, count) => placeAt(rate, count, { url, token, body });
}

/** Throws an Error with the answer, when it is none of 2xx. */
export async function ask<T>(url: string, body: unknown, shape: z.ZodType<T>, token?: string): Promise<T> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return shape.parse(await response.json());
}

/** Sends at a fixed rate, whether earlier ones are answered or not; resolves with how many were placed. */
async function placeAt(
  rate: number,
  count: number,
  target: { url: string; token: string; body: string },
): Promise<number> {
  const dispatcher = new Agent({ connections: 32 });
  const answers: Promise<number>[] = [];
  const began = performance.now();
  for (let i = 0; i < count; i += 1) {
    const wait = began + (i * 1000) / rate - performance.now();
    if (wait > 0) await pause(wait);
    const headers = {
      authorization: `Bearer ${target.token}`,
      'content-type': 'application/json',
      'idempotency-key': randomUUID(),
    };
    const sent = request(target.url, { method: 'POST', headers, body: target.body, dispatcher });
    answers.push(
      sent.then(async ({ statusCode, body }) => {
        await body.text();
        return statusCode;
      }),
    );
  }
  const statuses = await Promise.all(answers);
  await dispatcher.close();
  const refused = statuses.find((status) => status !== 201);
  if (refused !== undefined) throw new Error(`An order was answered with ${refused}`);
  return statuses.length;
}

/** When each order_created since then was written, read after the measurement so as not to disturb it. */
export async function rowsSince(settings: Settings, from: Date, count: number): Promise<Moments> {
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string; at: number }>(
      `SELECT id, (extract(epoch FROM created_at) * 1000)::float8 AS at FROM orders.outbox
        WHERE created_at >= $1 AND type = 'order_created' AND tenant_id = (SELECT id FROM identity.tenant WHERE slug = 'acme')
        ORDER BY created_at LIMIT $2`,
      [from, count],
    );
    return new Map(rows.map(({ id, at }) => [id, at]));
  } finally {
    await client.end();
  }
}

export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
