/** The two deaths that the path of an event must survive on every run; the others are tested by night. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'mocha';
import { removeData } from '../../infra/local/remove-data.ts';
import { startStack } from '../../infra/local/start-stack.ts';
import { launchBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { type Listener, listenInBrowser, listenInNode } from './event-source.ts';
import { killAndAwait } from './kill.ts';
import { assertKept, openScene, type Scene } from './scene.ts';
import { type Session, signIn } from './session.ts';

const killed = ['notifications-1', 'connect'];

describe('with orders flowing', function () {
  this.timeout(400_000);
  let stack: RunningStack;
  let dataDir: string;
  let scene: Scene | undefined;

  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'faults-'));
    // The supervisor would end the frozen process after 15 s; here it must wake as it was.
    stack = await startStack({
      dataDir,
      ports: 'free',
      instances: { notifications: 2 },
      demoTraffic: false,
      healthRestart: false,
      env: { ...process.env, RAGLINE_RATE_LIMITS: 'off' },
    });
  });
  afterEach(async () => {
    await scene?.abandon();
    scene = undefined;
  });
  after(async () => {
    await stack?.stop();
    await removeData(dataDir);
  });

  for (const name of killed) {
    it(`loses, doubles and reorders nothing when ${name} is killed`, async () => {
      scene = await openSceneOf(stack);
      await scene.nextDelivery(Date.now(), 30_000);
      await killAndAwait(stack.process(name), 120_000);
      await scene.nextDelivery(Date.now(), 120_000);
      const report = await scene.finish();
      assertKept(report);
    });
  }

  it('lets a plain EventSource of Node go on by itself after all notifications instances died', async () => {
    const staff = await staffOf(stack);
    const listener = await listenInNode(staff);
    try {
      await assertHearsAll(stack, staff, listener);
    } finally {
      await listener.close();
    }
  });

  it('lets a plain EventSource of a browser, let in by a ticket, go on by itself likewise', async () => {
    const staff = await staffOf(stack);
    const browser = await launchBrowser();
    try {
      await assertHearsAll(stack, staff, await listenInBrowser(await browser.newPage(), staff));
    } finally {
      await browser.close();
    }
  });
});

/** Orders placed before, during and after the death of every instance are heard once each; between orders there is no order. */
async function assertHearsAll(stack: RunningStack, staff: Session, listener: Listener): Promise<void> {
  const placed = [await placeOrder(staff)];
  await eventually(async () => assert.deepEqual(await listener.orderIds(), placed), { withinMs: 30_000 });
  const instances = ['notifications-1', 'notifications-2'].map((name) => stack.process(name));
  const restarted = Promise.all(instances.map((instance) => killAndAwait(instance, 120_000)));
  placed.push(await placeOrder(staff));
  await restarted;
  placed.push(await placeOrder(staff));
  await eventually(async () => assert.deepEqual((await listener.orderIds()).sort(), placed.sort()), {
    withinMs: 90_000,
  });
}

async function placeOrder(session: Session): Promise<string> {
  const http = httpTo(session.url);
  const token = await session.token();
  const products = await http('GET', '/v1/products?available=true&limit=1', { token });
  const items = [{ product_id: products.body.data[0].id, quantity: 1 }];
  const headers = { 'idempotency-key': randomUUID() };
  const answer = await http('POST', '/v1/orders', { token, headers, body: { items } });
  assert.equal(answer.status, 201, answer.text);
  return answer.body.id;
}

const staffOf = ({ env }: RunningStack): Promise<Session> =>
  signIn(env.RAGLINE_URL ?? '', 'acme', 'staff@acme.example', env.RAGLINE_DEMO_PASSWORD ?? '');

type RunningStack = Awaited<ReturnType<typeof startStack>>;

const openSceneOf = ({ env }: RunningStack) =>
  openScene(env.RAGLINE_URL ?? '', env.RAGLINE_DEMO_PASSWORD ?? '');
