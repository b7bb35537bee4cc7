/** Receivers of webhooks that mean harm: what they answer is data, and none of them holds anybody up. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import { startReceiver } from '../support/receiver.ts';
import { openScene, type Scene } from './webhooks-scene.ts';

describe('hostile receivers of webhooks', function () {
  this.timeout(60_000);
  const event_types = ['order_cancelled'];
  const stops: (() => unknown)[] = [];
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  after(async () => {
    for (const stop of stops) await stop();
  });

  const aReceiver = async () => {
    const receiver = await startReceiver();
    stops.push(receiver.stop);
    return receiver;
  };

  it('put into a list what is data: nothing of their headers, 4 KiB of their body, as JSON', async () => {
    const receiver = await aReceiver();
    const page = '<script>alert(document.cookie)</script>\r\nSet-Cookie: mine=1\r\n\r\n';
    receiver.answer({
      status: 200,
      headers: { 'content-type': 'text/html', 'set-cookie': 'mine=1', 'access-control-allow-origin': '*' },
      body: page + 'x'.repeat(3_000_000),
    });
    const webhook = await scene.make({ url: receiver.url, event_types });
    const { id, state, attempts } = await scene.tested(webhook);
    assert.deepEqual(
      [state, attempts[0].answer.length, attempts[0].answer.startsWith(page)],
      ['delivered', 4_096, true],
    );
    for (const way of [`GET /v1/webhook-deliveries/${id}`, `GET /v1/webhooks/${webhook.id}/deliveries`]) {
      const { headers } = await scene.as('admin', way, { headers: { accept: 'text/html' } });
      assert.match(headers.get('content-type') ?? '', /^application\/json/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.deepEqual([headers.get('set-cookie'), headers.get('access-control-allow-origin')], [null, null]);
    }
    await scene.remove(webhook);
  });

  const receivers: [
    what: string,
    beginning: string,
    more: string,
    expected: [number | null, string | null],
  ][] = [
    ['never ends its answer', 'HTTP/1.1 200 OK\r\n\r\n', 'x', [200, null]],
    [
      'never ends its headers',
      'HTTP/1.1 200 OK\r\n',
      `X-${'y'.repeat(1_000)}: z\r\n`,
      [null, 'answer_malformed'],
    ],
    [
      'goes over to another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
      'x',
      [null, 'answer_malformed'],
    ],
    ['speaks no HTTP', '220 mail.example ESMTP\r\n', '', [null, 'answer_malformed']],
    [
      'asks to come back in a thousand years',
      'HTTP/1.1 503 No\r\nRetry-After: 99999999999999\r\nContent-Length: 0\r\n\r\n',
      '',
      [503, 'status'],
    ],
  ];
  it('come to an end, whatever they send, and delay no other', async () => {
    const hanging = await rawReceiver('', '');
    stops.push(hanging.stop);
    const hung = await scene.make({ url: hanging.url, event_types });
    await scene.ask('admin', `POST /v1/webhooks/${hung.id}/test`, 202);
    await eventually(() => hanging.isAsked(), { withinMs: 30_000 });
    await Promise.all(
      receivers.map(async ([what, beginning, more, expected]) => {
        const raw = await rawReceiver(beginning, more);
        stops.push(raw.stop);
        const webhook = await scene.make({ url: raw.url, event_types });
        const { attempts } = await scene.tested(webhook);
        assert.deepEqual([attempts[0].status, attempts[0].error_code], expected, what);
        await scene.remove(webhook);
      }),
    );
    await scene.remove(hung);
  });

  it('lead nobody further inside by a redirect', async () => {
    const inside = await aReceiver();
    await Promise.all(
      [301, 302, 303, 307, 308].map(async (status) => {
        const receiver = await aReceiver();
        receiver.answer({ status, headers: { location: inside.url, refresh: `0; url=${inside.url}` } });
        const webhook = await scene.make({ url: receiver.url, event_types });
        const { attempts } = await scene.tested(webhook);
        assert.deepEqual([attempts[0].status, attempts[0].error_code], [status, 'redirected']);
        await scene.remove(webhook);
      }),
    );
    assert.deepEqual(inside.received, []);
  });
});

/** Says the beginning to whoever asks, and then more, without end. */
async function rawReceiver(beginning: string, more: string) {
  const sockets = new Set<net.Socket>();
  let isAsked = false;
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let timer: NodeJS.Timeout | undefined;
    socket.on('close', () => clearInterval(timer));
    socket.on('error', () => {});
    socket.once('data', () => {
      isAsked = true;
      socket.write(beginning);
      timer = setInterval(() => more !== '' && socket.write(more), 10);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    isAsked: () => isAsked,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
