/** Many clients, each sending its next request when the last is answered. */
import { randomUUID } from 'node:crypto';
import { Client } from 'undici';

export type LoadOptions = { origin: string; tokens: readonly string[]; body: string; seconds: number };
export type LoadFigures = {
  placed: number;
  failed: number;
  seconds: number;
  latenciesMs: number[];
  firstFault: string | undefined;
};

/** POST /v1/orders by one client for each token, each on one connection, every request with a key of its own. */
export async function placeOrders({ origin, tokens, body, seconds }: LoadOptions): Promise<LoadFigures> {
  const latenciesMs: number[] = [];
  let failed = 0;
  let firstFault: string | undefined;
  const began = performance.now();
  const endsAt = began + seconds * 1000;

  const work = async (token: string) => {
    const client = new Client(origin, { pipelining: 1 });
    const fixed = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    try {
      while (performance.now() < endsAt) {
        const at = performance.now();
        const headers = { ...fixed, 'idempotency-key': randomUUID() };
        const answer = await client.request({ path: '/v1/orders', method: 'POST', headers, body });
        const text = await answer.body.text();
        if (answer.statusCode === 201) latenciesMs.push(performance.now() - at);
        else {
          failed += 1;
          firstFault ??= `${answer.statusCode} ${text.slice(0, 300)}`;
        }
      }
    } finally {
      await client.close();
    }
  };
  await Promise.all(tokens.map(work));
  return {
    placed: latenciesMs.length,
    failed,
    seconds: (performance.now() - began) / 1000,
    latenciesMs,
    firstFault,
  };
}
