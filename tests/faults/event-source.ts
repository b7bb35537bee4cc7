import { EventSource } from 'eventsource';
import type { Page } from 'playwright-core';
import { httpTo } from '../support/http.ts';
import type { Session } from './session.ts';

/** Ids of the orders whose creation a plain EventSource heard of, in the order of arrival. */
export type Listener = { orderIds(): Promise<string[]>; close(): Promise<void> };

/** Node's EventSource with nothing of ours but the bearer token; resuming is its own doing. */
export async function listenInNode(session: Session): Promise<Listener> {
  const heard: string[] = [];
  const source = new EventSource(`${session.url}/v1/events/orders`, {
    fetch: async (input, init) =>
      fetch(input, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${await session.token()}` },
      }),
  });
  source.addEventListener('order_created', (event) => heard.push(JSON.parse(event.data).data.order.id));
  await new Promise<void>((resolve) => source.addEventListener('open', () => resolve(), { once: true }));
  return { orderIds: async () => heard, close: async () => source.close() };
}

/** A browser's EventSource, let in by a ticket: for its reconnects it has the cookie and nothing else. */
export async function listenInBrowser(page: Page, session: Session): Promise<Listener> {
  const { body } = await httpTo(session.url)('POST', '/v1/auth/tickets', { token: await session.token() });
  await page.goto(`${session.url}/docs`);
  await page.evaluate(
    (ticket) =>
      new Promise<void>((resolve) => {
        const heard: string[] = [];
        const source = new EventSource(`/v1/events/orders?ticket=${ticket}`);
        source.addEventListener('order_created', (event) => heard.push(JSON.parse(event.data).data.order.id));
        source.addEventListener('open', () => resolve(), { once: true });
        Object.assign(globalThis, { heard });
      }),
    body.ticket,
  );
  return {
    orderIds: () => page.evaluate(() => Reflect.get(globalThis, 'heard')),
    close: () => page.close(),
  };
}
