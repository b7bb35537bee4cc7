/** Frames that no client of the protocol sends: the documented close code, and nobody else suffers. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import { openSocket, placeOrder } from './scene.ts';

describe('bad frames on a socket', function () {
  this.timeout(60_000);
  let other: Awaited<ReturnType<typeof openSocket>>;

  before(async () => {
    other = await openSocket('staff@demo', '/ws/orders');
  });
  after(() => other.close());

  const malformed: [string, (send: (data: string | Buffer) => void) => void][] = [
    ['a binary frame', (send) => send(Buffer.from([1, 2, 3]))],
    ['a frame over 64 KiB', (send) => send(JSON.stringify({ type: 'ping', id: 'x'.repeat(70_000) }))],
    ['no JSON', (send) => send('{')],
    ['an unknown type', (send) => send('{"type":"drop","id":"1"}')],
    ['a list', (send) => send('[]')],
    ['null', (send) => send('null')],
    ['a subscription without a channel', (send) => send('{"type":"subscribe","id":"1"}')],
  ];
  for (const [what, act] of malformed) {
    it(`closes with 4400 on ${what}`, async () => {
      const { socket, closed } = await openSocket('customer@demo');
      act((data) => socket.send(data));
      assert.equal(await closed, 4400);
    });
  }

  it('closes with 4400 on a frame that breaks the protocol itself', async () => {
    const { socket, closed, messages } = await openSocket('customer@demo');
    await eventually(() => assert.ok(messages.length > 0));
    // A text frame that is no UTF-8; the client library would never write it.
    socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    assert.equal(await closed, 4400);
  });

  it('keeps the connection for a channel that there is not', async () => {
    const socket = await openSocket('customer@demo');
    socket.send({ type: 'subscribe', id: 'a', channel: 'no-such-channel' });
    socket.send({ type: 'ping', id: 'b' });
    await eventually(() => {
      assert.ok(socket.messages.some(({ type, id }) => type === 'error' && id === 'a'));
      assert.ok(socket.messages.some(({ type, id }) => type === 'ok' && id === 'b'));
    });
    socket.close();
  });

  it('keeps telling others all the while', async () => {
    const flooding = await openSocket('customer@demo');
    for (let i = 0; i < 5_000; i++) flooding.send({ type: 'ping', id: String(i) });
    const { id } = await placeOrder('customer@demo');
    await eventually(() => assert.ok(other.orders().includes(id)), { withinMs: 30_000 });
    flooding.close();
  });
});
