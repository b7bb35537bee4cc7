import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { anOrderEvent } from '@ragline/schemas/samples';
import { after, afterEach, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { startReceiver } from '../../../../tests/support/receiver.ts';
import { createPost } from './post.ts';
import { openScene, type Scene } from './testing.ts';

const publicAddress = '93.184.215.14';

describe('webhooks to addresses that they may not reach', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  afterEach(() => scene.stopAll());
  after(() => scene.close());

  const tricks: [string, string, string][] = [
    ['this machine by its number', 'https://127.0.0.1/', 'address_not_public'],
    ['this machine in one decimal', 'https://2130706433/', 'address_not_public'],
    ['this machine in octal and hexadecimal', 'https://0177.0x0.0.1/', 'address_not_public'],
    ['this machine in full-width digits', 'https://１２７.０.０.１/', 'address_not_public'],
    ['this machine by its name, with the dot of a root', 'https://LOCALHOST./', 'address_not_public'],
    ['this machine as IPv6', 'https://[::1]/', 'address_not_public'],
    ['IPv4 mapped into IPv6', 'https://[::ffff:127.0.0.1]/', 'address_not_public'],
    ['IPv4 translated into IPv6 (NAT64)', 'https://[64:ff9b::7f00:1]/', 'address_not_public'],
    ['IPv4 within 6to4', 'https://[2002:7f00:1::1]/', 'address_not_public'],
    ['IPv4 within Teredo', 'https://[2001:0:7f00:1::1]/', 'address_not_public'],
    ['IPv4 in the old compatible form', 'https://[::127.0.0.1]/', 'address_not_public'],
    ["a cloud's metadata", 'https://169.254.169.254/latest/meta-data/', 'address_not_public'],
    ['a private network', 'https://10.0.0.8/', 'address_not_public'],
    ['a private network of IPv6', 'https://[fd00:ec2::254]/', 'address_not_public'],
    ["a carrier's network", 'https://100.64.0.1/', 'address_not_public'],
    ['no address at all', 'https://0.0.0.0/', 'address_not_public'],
    ['many at once', 'https://224.0.0.1/', 'address_not_public'],
    ['a login that looks like the host', 'https://hooks.example@127.0.0.1/', 'credentials_in_url'],
    ['plain http', 'http://hooks.example/', 'scheme_not_allowed'],
    ['a file', 'file:///etc/passwd', 'scheme_not_allowed'],
    ['a port of mail', 'https://hooks.example:25/', 'port_not_allowed'],
    ['a name that leads to a private network', 'https://inside.example/', 'address_not_public'],
    ['a name of which one address is private', 'https://both.example/', 'address_not_public'],
    ['a name that leads nowhere', 'https://nowhere.example/', 'name_unresolved'],
    ['no URL', 'hooks.example', 'malformed'],
  ];
  const names: Record<string, string[]> = {
    'hooks.example': [publicAddress],
    'inside.example': ['192.168.1.4'],
    'both.example': [publicAddress, '::ffff:10.0.0.1'],
  };
  const resolve = async (name: string) => names[name] ?? [];

  for (const [what, url, reason] of tricks) {
    it(`are refused when they are made: ${what}`, async () => {
      const { app } = scene.start({ allowLoopback: false }, { resolve });
      const { admin } = scene.aTenant(app);
      const answer = await admin('post', '/v1/webhooks', { url });
      assert.deepEqual([answer.status, answer.body.code, answer.body.reason], [422, 'url_refused', reason]);
      assert.deepEqual((await admin('get', '/v1/webhooks')).body.data, []);
    });
  }

  it('of this machine come with the setting that allows them, but not in production', async () => {
    const refusalOf = async (url: string, isProduction: boolean) => {
      const { app } = scene.start({ allowLoopback: false }, { resolve, isProduction });
      return (await scene.aTenant(app).admin('post', '/v1/webhooks', { url })).body;
    };
    for (const url of ['http://localhost:9000/hooks', 'https://127.0.0.1:9000/']) {
      assert.match((await refusalOf(url, false)).detail, /WEBHOOK_ALLOW_LOOPBACK=on npm start/);
      assert.doesNotMatch((await refusalOf(url, true)).detail, /WEBHOOK/);
    }
    assert.doesNotMatch((await refusalOf('https://10.1.1.1/', false)).detail, /WEBHOOK/);
  });

  it('are refused when they are changed', async () => {
    const { app } = scene.start({ allowLoopback: false }, { resolve });
    const { admin } = scene.aTenant(app);
    const { body } = await admin('post', '/v1/webhooks', { url: 'https://hooks.example/' });
    const answer = await admin('patch', `/v1/webhooks/${body.id}`, { url: 'https://10.1.1.1/' });
    assert.deepEqual([answer.status, answer.body.code], [422, 'url_refused']);
    assert.equal((await admin('get', `/v1/webhooks/${body.id}`)).body.url, 'https://hooks.example/');
  });

  it('are refused at the connection, where a name has moved since (rebinding)', async () => {
    const receiver = await scene.aReceiver();
    const asked: string[] = [];
    const rebinding = async (name: string) => [asked.push(name) === 1 ? publicAddress : '127.0.0.1'];
    const { app, wake } = scene.start({ allowLoopback: false, delaysMs: [] }, { resolve: rebinding });
    const { admin, tenant_id } = scene.aTenant(app);
    const { body } = await admin('post', '/v1/webhooks', { url: `https://moving.example:${receiver.port}/` });
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const delivery = await eventually(async () => {
      const [found] = (await admin('get', `/v1/webhooks/${body.id}/deliveries?state=failed`)).body.data;
      assert.ok(found);
      return found;
    });
    assert.equal(delivery.attempts[0].error_code, 'address_refused');
    assert.deepEqual(asked, ['moving.example', 'moving.example']);
    assert.deepEqual(receiver.received, []);
  });

  it('are not followed to: a redirect is an answer, and a failed one', async () => {
    const [receiver, inside] = [await scene.aReceiver(), await scene.aReceiver()];
    receiver.answer({ status: 307, headers: { location: inside.url } });
    const { app, wake } = scene.start({ delaysMs: [] });
    const { admin, tenant_id } = scene.aTenant(app);
    const { body } = await admin('post', '/v1/webhooks', { url: receiver.url });
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const delivery = await eventually(async () => {
      const [found] = (await admin('get', `/v1/webhooks/${body.id}/deliveries?state=failed`)).body.data;
      assert.ok(found);
      return found;
    });
    assert.deepEqual([delivery.attempts[0].status, delivery.attempts[0].error_code], [307, 'redirected']);
    assert.deepEqual(inside.received, []);
  });
});

describe('one POST of a webhook', function () {
  this.timeout(60_000);
  const signal = new AbortController().signal;
  const request = { headers: {}, body: '{}', signal };
  const rules = { allowLoopback: true, timeoutMs: 5_000 };
  const here = async () => ['127.0.0.1'];

  it('connects to the address that was checked, and asks for the certificate of the name', async () => {
    const asked: string[] = [];
    const server = tls.createServer({
      SNICallback(name, done) {
        asked.push(name);
        done(new Error('no certificate'));
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    server.on('tlsClientError', () => {});
    try {
      const post = createPost({ ...rules, resolve: here });
      const result = await post({ ...request, url: `https://hooks.example:${port}/` });
      assert.equal(result.kind, 'failed');
      assert.deepEqual(asked, ['hooks.example']);
    } finally {
      server.close();
    }
  });

  it('goes to no proxy that the environment names', async () => {
    const [receiver, proxy] = [await startReceiver(), await startReceiver()];
    const program = `
      const { createPost } = await import(${JSON.stringify(join(import.meta.dirname, 'post.ts'))});
      const post = createPost(${JSON.stringify(rules)});
      const signal = new AbortController().signal;
      const result = await post({ url: ${JSON.stringify(receiver.url)}, headers: {}, body: '{}', signal });
      process.exit(result.status === 204 ? 0 : 1);`;
    const address = `http://127.0.0.1:${proxy.port}`;
    const env = {
      ...process.env,
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: address,
      http_proxy: address,
      NO_PROXY: '',
    };
    try {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env, stdio: 'ignore' });
      assert.deepEqual((await once(child, 'exit'))[0], 0);
      assert.deepEqual([receiver.received.length, proxy.received.length], [1, 0]);
    } finally {
      await receiver.stop();
      await proxy.stop();
    }
  });

  it('ends in time, whether a name, an answer or its end does not come', async () => {
    const receiver = await startReceiver();
    receiver.answer('hang');
    try {
      const never = () => new Promise<string[]>(() => {});
      const slow = createPost({ ...rules, timeoutMs: 100, resolve: never });
      const timedOut = { kind: 'failed', error_code: 'timeout' };
      assert.deepEqual(await slow({ ...request, url: 'https://hooks.example/' }), timedOut);
      const patient = createPost({ ...rules, timeoutMs: 100, resolve: here });
      assert.deepEqual(await patient({ ...request, url: receiver.url }), timedOut);
    } finally {
      await receiver.stop();
    }
  });

  it('ends also where the receiver switches protocols, and when it is not wanted any more', async () => {
    const raw = await rawServer(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    );
    const hanging = await rawServer('');
    const post = createPost({ ...rules, resolve: here });
    const unwanted = new AbortController();
    try {
      const malformed = { kind: 'failed', error_code: 'answer_malformed' };
      assert.deepEqual(await post({ ...request, url: raw.url }), malformed);
      const ending = post({ ...request, url: hanging.url, signal: unwanted.signal });
      unwanted.abort();
      assert.deepEqual(await ending, { kind: 'failed', error_code: 'interrupted' });
    } finally {
      raw.stop();
      hanging.stop();
    }
  });

  it('waits a moment, and no more, for the end of an answer whose status has come', async () => {
    const raw = await rawServer('HTTP/1.1 200 OK\r\n\r\nbegun');
    const deadline = AbortSignal.timeout(10_000);
    try {
      const patient = createPost({ ...rules, timeoutMs: 20_000, resolve: here });
      const result = await patient({ ...request, url: raw.url, signal: deadline });
      assert.equal(deadline.aborted, false);
      assert.deepEqual(result, { kind: 'answered', status: 200, retryAfter: undefined, answer: 'begun' });
    } finally {
      raw.stop();
    }
  });

  it('keeps no more of an answer than it says, whatever its bytes are', async () => {
    const receiver = await startReceiver();
    receiver.answer({ status: 200, body: '\x01'.repeat(4_096) });
    try {
      const result = await createPost({ ...rules, resolve: here })({ ...request, url: receiver.url });
      const answer = result.kind === 'answered' ? result.answer : '';
      assert.equal(answer, '\ufffd'.repeat(1_365));
    } finally {
      await receiver.stop();
    }
  });

  it('reads the beginning of an answer without end', async () => {
    const receiver = await startReceiver();
    receiver.answer({ status: 200, body: 'x'.repeat(5_000_000) });
    try {
      const result = await createPost({ ...rules, resolve: here })({ ...request, url: receiver.url });
      assert.equal(result.kind === 'answered' && result.answer.length, 4_096);
    } finally {
      await receiver.stop();
    }
  });

  it('says what went wrong where nobody answers', async () => {
    const receiver = await startReceiver();
    receiver.answer('cut');
    const post = createPost({ ...rules, resolve: here });
    const cut = await post({ ...request, url: receiver.url });
    await receiver.stop();
    const closed = await post({ ...request, url: receiver.url });
    const failed = { kind: 'failed', error_code: 'connection_failed' };
    assert.deepEqual([cut, closed], [failed, failed]);
  });
});

/** Says this to whoever connects, and nothing more. */
async function rawServer(text: string) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => {});
    sockets.add(socket);
    socket.write(text);
  });
  const sockets = new Set<net.Socket>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
