import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { WebSocketServer } from 'ws';
import { eventually } from '../../../tests/support/eventually.ts';
import { jsonOf, startFakeService, startTestGateway } from './testing.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Services that behave like the real ones towards the sentinel, as far as it looks. */
async function system() {
  const server = new WebSocketServer({ noServer: true });
  server.on('connection', (socket) => socket.send(JSON.stringify({ type: 'welcome' })));
  const tell = (event_type: string, data: object) => {
    for (const socket of server.clients) socket.send(JSON.stringify({ type: 'event', event_type, data }));
  };
  const placed: { key: unknown; body: string }[] = [];
  const how = { tells: true };
  const service = await startFakeService({
    onRequest: (req, res, body) => {
      const json = (value: object) =>
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
      if (req.url === '/v1/auth/login') json({ access_token: 'a.b.c', expires_in: 900 });
      else if (req.url?.startsWith('/v1/products')) json({ data: [{ id: 'p1' }], next_cursor: null });
      else if (req.url === '/v1/orders') {
        placed.push({ key: req.headers['idempotency-key'], body });
        const id = `order-${placed.length}`;
        // The event is faster than the answer here.
        if (how.tells) tell('order_created', { order: { id } });
        json({ id });
        if (how.tells) tell('notification_created', { notification: { order_id: id } });
      } else res.writeHead(404).end();
    },
    onUpgrade: (req, socket, head) =>
      server.handleUpgrade(req, socket, head, (it) => server.emit('connection', it, req)),
  });
  stops.push(service.stop);
  const urls = [service.url];
  const gateway = await startTestGateway(
    { identity: urls, orders: urls, notifications: urls, 'dead-letters': urls, chat: urls },
    { SENTINEL_PASSWORD: 'secret', SENTINEL_INTERVAL_MS: '200', SENTINEL_LATE_AFTER_MS: '1000' },
  );
  stops.push(gateway.stop);
  return { gateway, service, server, placed, how };
}

const readyz = (url: string) => jsonOf(fetch(`${url}/readyz`));

describe('the sentinel', () => {
  it('is content once its order came through to every instance, and sends each order once', async () => {
    const { gateway, placed } = await system();
    assert.equal((await readyz(gateway.url)).sentinel, 'starting');
    await eventually(async () => assert.equal((await readyz(gateway.url)).sentinel, 'ok'));
    assert.equal((await readyz(gateway.url)).status, 'ready');
    assert.equal(new Set(placed.map(({ key }) => key)).size, placed.length);
  }).timeout(10_000);

  it('makes the whole degraded when events stop, and well again when they flow', async () => {
    const { gateway, how, placed } = await system();
    how.tells = false;
    await eventually(async () => assert.equal((await readyz(gateway.url)).sentinel, 'late'));
    assert.equal((await readyz(gateway.url)).status, 'degraded');
    assert.ok(placed.length <= 10, `${placed.length} orders in a second`);
    how.tells = true;
    await eventually(async () => assert.equal((await readyz(gateway.url)).status, 'ready'));
  }).timeout(15_000);

  it('opens its sockets again when they are cut', async () => {
    const { gateway, server } = await system();
    await eventually(async () => assert.equal((await readyz(gateway.url)).sentinel, 'ok'));
    for (const socket of server.clients) socket.terminate();
    await eventually(() => assert.equal(server.clients.size, 1));
  }).timeout(10_000);
});
