/** The two deaths that the path of an event must survive on every run (the others are tested by night), and its trace. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Stack } from '../../infra/local/start-stack.ts';
import { launchBrowser } from '../support/browser.ts';
import { type CollectedSpan, type Collector, startCollector } from '../support/collector.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { type Listener, listenInBrowser, listenInNode } from './event-source.ts';
import { killAndAwait } from './kill.ts';
import { ownStack } from './own-stack.ts';
import { assertKept, openScene, type Scene } from './scene.ts';
import { type Session, signIn } from './session.ts';

const killed = ['notifications-1', 'connect'];

describe('with orders flowing', function () {
  this.timeout(400_000);
  let collector: Collector;
  let scene: Scene | undefined;
  before(async () => {
    collector = await startCollector();
  });
  const stack = ownStack(() => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }));
  after(() => collector.stop());

  afterEach(async () => {
    await scene?.abandon();
    scene = undefined;
  });

  it('is one trace from the request through outbox, Kafka and handler to the sockets', async () => {
    const staff = await staffOf(stack());
    const listener = await listenInNode(staff);
    try {
      const traceId = randomBytes(16).toString('hex');
      await placeOrder(staff, { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` });
      await eventually(
        () => {
          const ofTrace = collector.spans.filter((span) => span.traceId === traceId);
          const steps = ofTrace.map(({ service, name }) => `${service}: ${name}`);
          assert.deepEqual([...new Set(steps)].sort(), [
            'gateway: POST /v1/orders',
            'notifications: live deliver',
            'notifications: process orders.v1',
            'orders: POST /v1/orders',
          ]);
          assertLinked(ofTrace);
        },
        { withinMs: 30_000 },
      );
    } finally {
      await listener.close();
    }
  });

  for (const name of killed) {
    it(`loses, doubles and reorders nothing when ${name} is killed`, async () => {
      scene = await openSceneOf(stack());
      await scene.nextDelivery(Date.now(), 30_000);
      await killAndAwait(stack().process(name), 120_000);
      await scene.nextDelivery(Date.now(), 120_000);
      const report = await scene.finish();
      assertKept(report);
    });
  }

  it('lets a plain EventSource of Node go on by itself after all notifications instances died', async () => {
    const staff = await staffOf(stack());
    const listener = await listenInNode(staff);
    try {
      await assertHearsAll(stack(), staff, listener);
    } finally {
      await listener.close();
    }
  });

  it('lets a plain EventSource of a browser, let in by a ticket, go on by itself likewise', async () => {
    const staff = await staffOf(stack());
    const browser = await launchBrowser();
    try {
      await assertHearsAll(stack(), staff, await listenInBrowser(await browser.newPage(), staff));
    } finally {
      await browser.close();
    }
  });
});

/** Orders placed before, during and after the death of every instance are heard once each; between orders there is no order. */
async function assertHearsAll(stack: Stack, staff: Session, listener: Listener): Promise<void> {
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

/** Each span but the first is the child of another one of the same trace. */
function assertLinked(spans: CollectedSpan[]): void {
  const ids = new Set(spans.map((span) => span.spanId));
  const roots = spans.filter((span) => !ids.has(span.parentSpanId));
  assert.deepEqual(
    roots.map(({ service }) => service),
    ['gateway'],
    JSON.stringify(spans),
  );
}

async function placeOrder(session: Session, extra: Record<string, string> = {}): Promise<string> {
  const http = httpTo(session.url);
  const token = await session.token();
  const products = await http('GET', '/v1/products?available=true&limit=1', { token });
  const items = [{ product_id: products.body.data[0].id, quantity: 1 }];
  const headers = { 'idempotency-key': randomUUID(), ...extra };
  const answer = await http('POST', '/v1/orders', { token, headers, body: { items } });
  assert.equal(answer.status, 201, answer.text);
  return answer.body.id;
}

const staffOf = ({ env }: Stack): Promise<Session> =>
  signIn(env.RAGLINE_URL ?? '', 'acme', 'staff@acme.example', env.RAGLINE_DEMO_PASSWORD ?? '');

const openSceneOf = ({ env }: Stack) => openScene(env.RAGLINE_URL ?? '', env.RAGLINE_DEMO_PASSWORD ?? '');
