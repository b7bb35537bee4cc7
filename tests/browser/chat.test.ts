/** The page at `/chat` in a real browser, against the whole stack in its offline mode. */
import assert from 'node:assert/strict';
import AxeBuilder from '@axe-core/playwright';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
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

/** A signed-in page of a browser of its own; whatever it may not do, by policy or by fault, is noted. */
async function visit(options: Parameters<Browser['newContext']>[0] = {}) {
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
  await page.goto(`${origin}/chat`);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Your question').waitFor();
  return { page, context, faults };
}

/** Asks, and gives the answer once it is whole. */
async function ask(page: Page, question: string): Promise<Locator> {
  const answers = page.locator('.message.assistant');
  const count = await answers.count();
  await page.getByLabel('Your question').fill(question);
  await page.getByRole('button', { name: 'Send' }).click();
  const answer = answers.nth(count);
  await answer.locator('xpath=self::*[@aria-busy="false"]').waitFor();
  return answer;
}

const textOf = async (locator: Locator) => (await locator.textContent()) ?? '';

async function accessibilityFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

const eventsPath = '**/events';

/** No events until the route is taken away again. */
async function disconnect(page: Page): Promise<void> {
  await page.route(eventsPath, (route) => route.abort());
  await page.evaluate("dispatchEvent(new Event('offline'))");
  await page.locator('#connection[data-state=waiting]').waitFor();
}

describe('the page at /chat', function () {
  this.timeout(120_000);

  it('streams an answer with its sources, and a reload keeps the conversation', async () => {
    const { page, faults } = await visit();
    const answer = await ask(page, 'Which pizzas are vegan?');
    assert.match(await textOf(answer), /Marinara/);
    const link = answer.getByRole('link', { name: /^Source \d+: Marinara$/ });
    const source = answer.getByRole('list', { name: 'Sources' }).getByRole('listitem').first();
    assert.match(await textOf(source), /^Marinara/);
    await link.click();
    await source.locator('xpath=self::*[@id]').and(page.locator(':focus')).waitFor();
    await page.locator('#offline').waitFor();
    await page.locator('#conversations [aria-current]', { hasText: 'Which pizzas are vegan?' }).waitFor();

    await page.reload();
    await page.locator('.message.assistant').waitFor();
    assert.match(await textOf(page.locator('.message.assistant')), /Marinara/);
    await page.getByRole('button', { name: 'New conversation', exact: true }).click();
    await page.locator('.message.assistant').waitFor({ state: 'detached' });
    await page.goBack();
    await page.locator('.message.assistant').waitFor();
    assert.deepEqual(faults, []);
  });

  it('shows an order before it is made: rejected, nothing happens; approved, it is placed', async () => {
    const { page, faults } = await visit();
    const offered = await ask(page, 'I would like to order two Margherita and a Limonata');
    const card = offered.getByRole('region', { name: 'Shall this be ordered?' });
    assert.match(await textOf(card), /2 × Margherita(.|\n)*1 × Limonata(.|\n)*Total/);
    await card.getByRole('button', { name: 'Reject' }).click();
    await page.getByText('ordered nothing').waitFor();
    await card.getByText('Rejected: nothing is ordered.').waitFor();

    await ask(page, 'I would like to order one Focaccia');
    await page.reload();
    const second = page.locator('.approval').last();
    await second.getByRole('button', { name: 'Approve' }).click();
    await page.getByText(/Your order is placed/).waitFor();
    await second.getByText('Ordered.').waitFor();
    await page.reload();
    await second.getByText('Ordered.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0);
    assert.deepEqual(faults, []);
  });

  it('stops what is being answered, and goes on', async () => {
    const { page } = await visit();
    await ask(page, 'Which pizzas are vegan?');
    // Nothing of the next answer comes in, so it is still on its way for the one who reads.
    await disconnect(page);
    await page.getByLabel('Your question').fill('Which desserts are vegan?');
    await page.keyboard.press('Enter');
    const stop = page.getByRole('button', { name: 'Stop answering' });
    const taken = page.waitForResponse((response) => response.url().endsWith('/stop'));
    await stop.click();
    assert.equal((await taken).status(), 202);
    await page.unroute(eventsPath);
    await stop.waitFor({ state: 'hidden' });
    const state = await page.locator('.message.assistant').last().getAttribute('data-state');
    assert.ok(state === 'stopped' || state === 'completed', `it is ${state}`);
    await ask(page, 'Are dogs allowed?');
  });

  it('catches up on an answer that came while its connection was away', async () => {
    const { page, context } = await visit();
    await ask(page, 'Which pizzas are vegan?');
    const other = await context.newPage();
    await other.goto(page.url());
    await other.getByLabel('Password').fill(password);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.locator('.message.assistant').waitFor();

    await disconnect(page);
    await ask(other, 'Which desserts are vegan?');
    assert.equal(await page.locator('.message.assistant').count(), 1);
    await page.unroute(eventsPath);
    await page.locator('#connection[data-state=live]').waitFor();
    await page.locator('.message.assistant', { hasText: 'Sorbetto' }).waitFor();
    // The question was asked elsewhere; it is read, once its answer tells of it.
    await page.locator('.message.user', { hasText: 'Which desserts are vegan?' }).waitFor();
    assert.equal(await page.locator('.message').count(), 4);
  });

  it('says what went wrong, keeps the question, and shows data as text only', async () => {
    const { page, faults } = await visit();
    const markup = '<img src=x onerror=alert(1)> [1]';
    await page.route('**/messages', (route) => route.abort());
    await page.getByLabel('Your question').fill(markup);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('#ask-error:not(:empty)').waitFor();
    assert.equal(await page.getByLabel('Your question').inputValue(), markup);
    await page.unroute('**/messages');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('.message.user', { hasText: markup }).waitFor();
    await page.locator('.message.assistant[aria-busy=false]').waitFor();
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(faults, []);
  });

  it('can be used by everyone: by the keyboard alone, on a phone, in the dark, with a screen reader', async () => {
    const { page } = await visit({ viewport: { width: 360, height: 700 }, colorScheme: 'dark' });
    assert.deepEqual(await accessibilityFaults(page), []);
    await page.getByLabel('Your question').focus();
    await page.keyboard.type('I would like to order one Focaccia');
    await page.keyboard.press('Enter');
    const approve = page.getByRole('button', { name: 'Approve' });
    await approve.waitFor();
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    assert.ok(width <= 360, `the page is ${width} pixels wide`);
    assert.deepEqual(await accessibilityFaults(page), []);
    await page.getByText('an order waits for your word').waitFor();
    await approve.focus();
    await page.keyboard.press('Enter');
    await page.getByText(/Your order is placed/).waitFor();
  });

  it('is reached from the page of orders, signed in as there', async () => {
    const { page } = await visit();
    await page.getByRole('link', { name: 'Orders' }).click();
    await page.locator('#connection[data-state=live]').waitFor();
    await page.getByRole('link', { name: 'Ask the assistant' }).click();
    await page.getByLabel('Your question').waitFor();
    assert.equal(await page.locator('#sign-in').isVisible(), false);
  });
});

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see "npx ragline env"`);
  return value;
}
