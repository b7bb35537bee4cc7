/** The page at `/` in a real browser, against the whole stack. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Browser, BrowserContext, Page, WebSocketRoute } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';

const origin = setting('RAGLINE_URL');
const password = setting('RAGLINE_DEMO_PASSWORD');
const withinMs = 30_000;

let browser: Browser;
const contexts: BrowserContext[] = [];

before(async () => {
  browser = await launchBrowser();
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});
after(() => browser?.close());

/** A page of a browser of its own; whatever it may not do, by policy or by fault, is noted. */
async function visit(
  options: Parameters<Browser['newContext']>[0] = {},
  prepare: (page: Page) => Promise<void> = async () => {},
) {
  const context = await browser.newContext(options);
  contexts.push(context);
  context.setDefaultTimeout(withinMs);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && /content security policy|trusted/i.test(message.text())) {
      faults.push(message.text());
    }
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.host !== new URL(origin).host && url.protocol !== 'data:') faults.push(`asked ${url.host}`);
  });
  await prepare(page);
  await page.goto(origin);
  return { page, faults };
}

async function signIn(page: Page, email: string) {
  await page.getByLabel('Tenant').fill('demo');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await isLive(page);
}

const isLive = (page: Page) => page.locator('#connection[data-state=live]').waitFor();

/** Places an order of the first product; returns its id, once the event of it came over the socket. */
async function placeOrder(page: Page): Promise<string> {
  const answer = page.waitForResponse(
    (response) => response.url().endsWith('/v1/orders') && response.request().method() === 'POST',
  );
  await page.locator('#products input').first().fill('2');
  await page.getByRole('button', { name: 'Place order' }).click();
  const response = await answer;
  assert.equal(response.status(), 201);
  const { id } = await response.json();
  await page.locator('#order-placed', { hasText: shortId(id) }).waitFor();
  await page.locator(`#orders li.own[data-order="${id}"]`).waitFor();
  await event(page, 'order_created', id).waitFor();
  return id;
}

const shortId = (id: string) => `#${id.replaceAll('-', '').slice(-6)}`;
const event = (page: Page, type: string, orderId: string) =>
  page.locator(`#events li[data-type=${type}]`, { hasText: shortId(orderId) });
const status = (page: Page, orderId: string, expected: string) =>
  page.locator(`#orders li[data-order="${orderId}"] .status[data-status=${expected}]`);

describe('the page at /', function () {
  this.timeout(120_000);

  it('signs in, places an order and shows its event live; a reload keeps it all', async () => {
    const { page, faults } = await visit();
    await signIn(page, 'customer@demo.example');
    const id = await placeOrder(page);
    await status(page, id, 'pending').waitFor();
    await page.reload();
    await isLive(page);
    await status(page, id, 'pending').waitFor();
    assert.deepEqual(faults, []);
  });

  it("shows staff a customer's order at once, and the customer what staff does with it", async () => {
    const [customer, staff] = [await visit(), await visit()];
    await signIn(staff.page, 'staff@demo.example');
    await signIn(customer.page, 'customer@demo.example');
    const id = await placeOrder(customer.page);
    await event(staff.page, 'order_created', id).waitFor();
    await staff.page.getByRole('button', { name: `Confirm ${shortId(id)}` }).click();
    await status(customer.page, id, 'confirmed').waitFor();
    await event(customer.page, 'order_status_changed', id).waitFor();
    assert.deepEqual([...customer.faults, ...staff.faults], []);
  });

  it('catches up on what happened while its connection was away', async () => {
    const away = { is: false, sockets: new Set<WebSocketRoute>() };
    const staff = await visit();
    const customer = await visit({}, (page) =>
      page.routeWebSocket(/\/ws/, async (socket) => {
        if (away.is) return socket.close({ code: 1012 });
        away.sockets.add(socket);
        socket.connectToServer();
      }),
    );
    await signIn(staff.page, 'staff@demo.example');
    await signIn(customer.page, 'customer@demo.example');
    const id = await placeOrder(customer.page);
    away.is = true;
    for (const socket of away.sockets) await socket.close({ code: 1012 });
    await customer.page.locator('#connection[data-state=waiting]').waitFor();
    await staff.page.getByRole('button', { name: `Cancel ${shortId(id)}` }).click();
    await status(staff.page, id, 'cancelled').waitFor();
    away.is = false;
    await isLive(customer.page);
    await status(customer.page, id, 'cancelled').waitFor();
    await event(customer.page, 'order_cancelled', id).waitFor();
  });

  it('says what is wrong with a sign-in, and shows data as text only', async () => {
    const { page, faults } = await visit();
    await page.getByLabel('Password').fill('<img src=x onerror=alert(1)>');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator('#sign-in-error:not(:empty)').waitFor();
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(faults, []);
  });

  it('fits a phone, in the dark as well, and can be used with the keyboard alone', async () => {
    const { page } = await visit({ viewport: { width: 360, height: 700 }, colorScheme: 'dark' });
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    await isLive(page);
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    assert.ok(width <= 360, `the page is ${width} pixels wide`);
    await page.locator('#products input').first().focus();
    await page.keyboard.type('1');
    await page.keyboard.press('Enter');
    await page.locator('#events li[data-type=order_created]').first().waitFor();
  });
});

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see "npx ragline env"`);
  return value;
}
