/** The reference at `/docs` in a real browser: both documents, from our own origin alone. */
import assert from 'node:assert/strict';
import AxeBuilder from '@axe-core/playwright';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Browser, BrowserContext } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';

const origin = process.env.RAGLINE_URL ?? '';
const withinMs = 60_000;

let browser: Browser;
const contexts: BrowserContext[] = [];

before(async () => {
  assert.ok(origin, 'RAGLINE_URL is not set; see "npx ragline env"');
  browser = await launchBrowser();
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});
after(() => browser?.close());

/** Opens a document of the reference; notes what its policy forbids, what fails, and who else is asked. */
async function visit(api: string, colorScheme: 'light' | 'dark') {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1_200, height: 900 } });
  contexts.push(context);
  context.setDefaultTimeout(withinMs);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('request', (request) => {
    const { host, protocol } = new URL(request.url());
    if (host !== new URL(origin).host && /^(?:https?|wss?):$/.test(protocol)) faults.push(`asked ${host}`);
  });
  await page.goto(`${origin}/docs?api=${api}`);
  return { page, faults };
}

describe('the reference at /docs', function () {
  this.timeout(120_000);

  const documents = [
    { api: 'requests', shown: '/v1/auth/login', colorScheme: 'light' },
    { api: 'events', shown: 'What comes on /ws by itself.', colorScheme: 'dark' },
  ] as const;

  for (const { api, shown, colorScheme } of documents) {
    it(`shows an operation of ${api}, asks nobody else for anything, and can be read by all`, async () => {
      const { page, faults } = await visit(api, colorScheme);
      await page.getByText(shown).first().waitFor();
      const { violations } = await new AxeBuilder({ page }).analyze();
      assert.deepEqual(
        violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
        [],
      );
      assert.deepEqual(faults, []);
    });
  }
});
