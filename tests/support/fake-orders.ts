/**
 * Orders, and the tokens of identity, on a port of their own: with the promises of the real service about idempotency
 * keys and quotes, and faults at its border that the real one cannot be asked for.
 */
import { createHash, randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type FakeOrder = {
  id: string;
  user_id: string;
  key: string;
  total: number;
  promo_code: string | null;
};
export type FakeRequest = { method: string; path: string; key: string | undefined; body: string };

/**
 * What happens to a request: `lose` never arrives, `place-and-lose` arrives and its answer does not, `late` arrives once
 * `release` is called, whether anybody still waits or not; a number is answered instead, with nothing done.
 */
export type BorderFault = 'lose' | 'place-and-lose' | 'late' | number;

type Line = { product_id: string; quantity: number; notes?: string | null };
type Body = { items: Line[]; promo_code?: string | null; notes?: string | null; quote_token?: string };
type Priced = ReturnType<typeof priceOf>;
type Promotion = { code: string; percent: number; minimum: number };

const quoteValidMs = 15 * 60_000;

export type FakeOrders = Awaited<ReturnType<typeof startFakeOrders>>;

export async function startFakeOrders() {
  const prices = new Map<string, number>();
  const promotions: Promotion[] = [];
  const answers = new Map<string, { body: string; answer: object }>();
  const placed: FakeOrder[] = [];
  const requests: FakeRequest[] = [];
  const late: (() => void)[] = [];
  const disabled = new Set<string>();
  let fault: (request: FakeRequest) => BorderFault | undefined = () => undefined;
  let tokens = 0;

  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += String(part);
    const path = req.url ?? '/';
    const key = req.headers['idempotency-key'];
    const request = { method: req.method ?? '', path, key: typeof key === 'string' ? key : undefined, body };
    requests.push(request);
    const wanted = path.startsWith('/internal/') ? undefined : fault(request);
    if (wanted === 'lose') return void req.socket.destroy();
    if (wanted === 'late') await new Promise<void>((resolve) => void late.push(resolve));
    const answer = typeof wanted === 'number' ? problem(wanted, 'unavailable') : handle(req, request);
    if (wanted === 'place-and-lose') return void req.socket.destroy();
    const text = JSON.stringify(answer.body);
    res.writeHead(answer.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    res.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  function handle(req: http.IncomingMessage, { method, path, key, body }: FakeRequest) {
    if (path === '/internal/v1/delegated-tokens') {
      const { user_id } = JSON.parse(body) as { user_id: string };
      if (disabled.has(user_id)) return problem(403, 'forbidden');
      tokens += 1;
      return { status: 200, body: { access_token: `token.of.${user_id}`, expires_in: 60 } };
    }
    const user = /^Bearer token\.of\.(.+)$/.exec(req.headers.authorization ?? '')?.[1];
    if (user === undefined) return problem(401, 'unauthenticated');
    if (method === 'GET' && path === '/v1/promotions/running') {
      const data = promotions.map(({ code, percent: value, minimum }) => ({
        code,
        kind: 'percent',
        value,
        minimum,
        ends_at: null,
      }));
      return { status: 200, body: { data } };
    }
    const asked = JSON.parse(body) as Body;
    const price = priceOf(asked, prices, promotions);
    if (price === undefined) return problem(409, 'not_available');
    if (path === '/v1/orders/quote') return { status: 200, body: quoteOf(user, price) };
    return place(user, key ?? '', body, asked, price);
  }

  function place(user: string, key: string, body: string, asked: Body, price: Priced & object) {
    const earlier = answers.get(`${user}/${key}`);
    if (earlier !== undefined) {
      return earlier.body === body
        ? { status: 201, body: earlier.answer }
        : problem(422, 'idempotency_key_reused');
    }
    if (asked.quote_token !== undefined && asked.quote_token !== tokenOf(user, price)) {
      return problem(409, 'price_changed', { quote: quoteOf(user, price) });
    }
    if (price.refused.length > 0) return problem(422, 'promotion_refused', { refused: price.refused });
    const { refused: _, ...amounts } = price;
    const answer = { id: randomUUID(), status: 'pending', ...amounts };
    answers.set(`${user}/${key}`, { body, answer });
    placed.push({ id: answer.id, user_id: user, key, total: price.total, promo_code: price.promo_code });
    return { status: 201, body: answer };
  }

  return {
    url: `http://127.0.0.1:${port}`,
    /** All that were placed, in their order. */
    placed,
    requests,
    tokensMade: () => tokens,
    /** Adds a product, or gives it another price. */
    price: (productId: string, amount: number): void => void prices.set(productId, amount),
    withdraw: (productId: string): void => void prices.delete(productId),
    promote: (promotion: Promotion): void => void promotions.push(promotion),
    disable: (userId: string): void => void disabled.add(userId),
    /** Decides for each request what happens to it; undefined lets it pass. */
    faults: (decide: (request: FakeRequest) => BorderFault | undefined): void => {
      fault = decide;
    },
    /** Lets all that are late arrive now. */
    release: (): void => {
      for (const arrive of late.splice(0)) arrive();
    },
    late: () => late.length,
    async stop(): Promise<void> {
      for (const arrive of late.splice(0)) arrive();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function problem(status: number, code: string, members: object = {}) {
  return { status, body: { ...members, code, title: code, status } };
}

function priceOf({ items, promo_code }: Body, prices: Map<string, number>, promotions: Promotion[]) {
  const lines = [];
  for (const { product_id, quantity, notes = null } of items) {
    const unit_price = prices.get(product_id);
    if (unit_price === undefined) return undefined;
    lines.push({ product_id, name: 'Dish', quantity, unit_price, line_total: unit_price * quantity, notes });
  }
  const subtotal = lines.reduce((sum, line) => sum + line.line_total, 0);
  const promotion = promotions.find(({ code }) => code === promo_code);
  const reason =
    promotion === undefined ? 'unknown' : subtotal < promotion.minimum ? 'minimum_not_met' : undefined;
  const applied = reason === undefined ? promotion : undefined;
  const discount = applied === undefined ? 0 : Math.floor((subtotal * applied.percent) / 100);
  const refused = promo_code == null || reason === undefined ? [] : [{ code: promo_code, reason }];
  const total = subtotal - discount;
  return {
    items: lines,
    currency: 'EUR',
    subtotal,
    discount,
    total,
    promo_code: applied?.code ?? null,
    refused,
  };
}

/** Of a user and a content, as the real one's; it has no time in it, so that the same content has the same token. */
function tokenOf(user: string, { items, total, promo_code }: Priced & object): string {
  const lines = items.map((it) => [it.product_id, it.quantity, it.unit_price]);
  return createHash('sha256')
    .update(JSON.stringify([user, lines, total, promo_code]))
    .digest('hex');
}

function quoteOf(user: string, price: Priced & object) {
  return {
    quote_token: tokenOf(user, price),
    expires_at: new Date(Date.now() + quoteValidMs).toISOString(),
    ...price,
  };
}
