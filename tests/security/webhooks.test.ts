/** Webhooks in hostile hands: of those who may not have them, and of those who may and want more. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import type { HttpAnswer } from '../support/http.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { http } from './scene.ts';
import { elsewhere, type Made, openScene, operator, type Scene, stranger } from './webhooks-scene.ts';

const anId = '019a0000-0000-7000-8000-0000000000ff';

describe('webhooks in hostile hands', function () {
  this.timeout(60_000);
  // In a query, where receivers keep what they know their callers by.
  const mark = `mark${randomUUID().replaceAll('-', '')}`;
  let scene: Scene;
  let receiver: Receiver;
  let webhook: Made;
  let delivery: { id: string; event_id: string };

  before(async () => {
    [scene, receiver] = await Promise.all([openScene(), startReceiver()]);
    webhook = await scene.make({ url: `${receiver.url}?key=${mark}` });
    await scene.placeOrder();
    delivery = await eventually(
      async () => {
        const { data } = await scene.ask('admin', `GET /v1/webhooks/${webhook.id}/deliveries`, 200);
        assert.equal(data[0]?.state, 'delivered');
        return data[0];
      },
      { withinMs: 40_000 },
    );
  });
  after(() => receiver?.stop());

  const ways = (id: string, deliveryId: string): [way: string, body?: object][] => [
    [`GET /v1/webhooks/${id}`],
    [`PATCH /v1/webhooks/${id}`, { active: false }],
    [`POST /v1/webhooks/${id}/rotate-secret`, {}],
    [`POST /v1/webhooks/${id}/test`],
    [`GET /v1/webhooks/${id}/deliveries`],
    [`GET /v1/webhook-deliveries/${deliveryId}`],
    [`POST /v1/webhook-deliveries/${deliveryId}/redeliver`],
    [`DELETE /v1/webhooks/${id}`],
  ];

  it('are admins’ alone', async () => {
    const all = [
      ...ways(webhook.id, delivery.id),
      ['GET /v1/webhooks'],
      ['POST /v1/webhooks', { url: elsewhere }],
    ];
    for (const [way, body] of all as [string, object?][]) {
      for (const who of ['staff', 'customer', operator] as const) {
        const answer = await scene.as(who, way, body ? { body } : {});
        assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden'], `${who} ${way}`);
      }
      const [method = '', path = ''] = way.split(' ');
      assert.equal((await http(method, path, body ? { body } : {})).status, 401, way);
    }
    assert.equal((await scene.ask('admin', `GET /v1/webhooks/${webhook.id}`, 200)).active, true);
  });

  it('of another tenant are like those that there are none of', async () => {
    const plain = ({ status, body }: HttpAnswer<{ code: string; detail?: string }>) => [
      status,
      body.code,
      body.detail,
    ];
    const [others, nobodys] = [ways(webhook.id, delivery.id), ways(anId, anId)];
    for (const [place, [way, body]] of others.entries()) {
      const request = body ? { body } : {};
      const answer = await scene.as(stranger, way, request);
      assert.equal(answer.status, 404, `${way}: ${answer.text}`);
      assert.deepEqual(
        plain(answer),
        plain(await scene.as(stranger, nobodys[place]?.[0] ?? '', request)),
        way,
      );
    }
    for (const way of [`GET /v1/events/${delivery.event_id}/trace`, 'GET /v1/webhooks?limit=200']) {
      const { text } = await scene.as(stranger, way);
      for (const id of [webhook.id, delivery.id, mark]) assert.ok(!text.includes(id), way);
    }
    assert.equal((await scene.as('admin', 'GET /v1/webhooks/1')).status, 404);
  });

  it('repeat the answer with a secret to nobody but who asked for it', async () => {
    const request = { body: { url: elsewhere, active: false }, headers: { 'idempotency-key': randomUUID() } };
    const first = await scene.as('admin', 'POST /v1/webhooks', request);
    scene.secrets.push(first.body.secret);
    assert.equal((await scene.as('staff', 'POST /v1/webhooks', request)).status, 403);
    const other = await scene.as(stranger, 'POST /v1/webhooks', request);
    assert.equal(other.status, 201, other.text);
    assert.equal((await scene.as(stranger, `DELETE /v1/webhooks/${other.body.id}`)).status, 204);
    assert.notEqual(other.body.secret, first.body.secret);
    assert.notEqual(other.body.id, first.body.id);
    await scene.remove(first.body);
  });

  const refused: [what: string, url: string, reason: string][] = [
    ['a private network', 'https://10.0.0.8/', 'address_not_public'],
    ['a cloud’s metadata', 'https://169.254.169.254/latest/meta-data/', 'address_not_public'],
    ['the same in one decimal', 'https://2852039166/', 'address_not_public'],
    ['the same in octal', 'https://0251.0376.0251.0376/', 'address_not_public'],
    ['the same in hexadecimal', 'https://0xA9FEA9FE/', 'address_not_public'],
    ['the same in other digits', 'https://①⑥⑨.②⑤④.１６９.２５４/', 'address_not_public'],
    ['the same with other full stops', 'https://169。254。169。254/', 'address_not_public'],
    ['the same with a dot at the end', 'https://169.254.169.254./', 'address_not_public'],
    ['the same, as percent signs hide it', 'https://%31%36%39.254.169.254/', 'address_not_public'],
    ['the same, mapped into IPv6', 'https://[::ffff:169.254.169.254]/', 'address_not_public'],
    ['this machine, mapped into IPv6', 'https://[::ffff:7f00:1]/', 'address_not_public'],
    ['IPv6 for this link', 'https://[fe80::1]/', 'address_not_public'],
    ['IPv6 in a private network', 'https://[fd00:ec2::254]/', 'address_not_public'],
    ['no address', 'https://0/', 'address_not_public'],
    ['a login that looks like a host', 'https://hooks.example@10.0.0.1/', 'credentials_in_url'],
    ['a login behind backslashes', 'https:\\\\me:word@1.1.1.1/', 'credentials_in_url'],
    ['http', 'http://1.1.1.1/', 'scheme_not_allowed'],
    ['files', 'file:///etc/passwd', 'scheme_not_allowed'],
    ['gophers', 'gopher://1.1.1.1/_x', 'scheme_not_allowed'],
    ['scripts', 'javascript:alert(1)', 'scheme_not_allowed'],
    ['ports of shells', 'https://1.1.1.1:22/', 'port_not_allowed'],
    ['no port at all', 'https://1.1.1.1:99999/', 'malformed'],
    ['a line of its own', 'https://1.1.1.1/\r\nX-Injected: 1', 'malformed'],
    ['a host in pieces', 'https://1.1.\t1.1/', 'malformed'],
    ['a fragment', 'https://1.1.1.1/#inside', 'fragment_in_url'],
  ];
  it('go to no address that only this network can reach, made so or changed so', async () => {
    const tried = refused.map(async ([what, url, reason]) => {
      const hidden = url.includes('#') || reason === 'malformed' ? url : `${url}?key=${mark}`;
      for (const way of ['POST /v1/webhooks', `PATCH /v1/webhooks/${webhook.id}`]) {
        const answer = await scene.as('admin', way, { body: { url: hidden } });
        const { code, reason: said } = answer.body;
        assert.deepEqual(
          [answer.status, code, said],
          [422, 'url_refused', reason],
          `${what}: ${answer.text}`,
        );
        assert.ok(!answer.text.includes(mark), `${what}: a problem repeats the URL`);
      }
    });
    await Promise.all(tried);
    assert.equal(
      (await scene.ask('admin', `GET /v1/webhooks/${webhook.id}`, 200)).url,
      `${receiver.url}?key=${mark}`,
    );
    assert.equal((await scene.ask('admin', 'GET /v1/webhooks', 200)).data.length, 1);
  });

  it('are refused what is no webhook, with the field and without its value', async () => {
    const bodies: [string, object][] = [
      ['url', { url: `https://1.1.1.1/${mark.repeat(60)}` }],
      ['url', { url: [`https://1.1.1.1/${mark}`] }],
      ['event_types', { url: elsewhere, event_types: Array(6).fill('*') }],
      ['event_types.0', { url: elsewhere, event_types: [mark] }],
      ['description', { url: elsewhere, description: mark.repeat(10) }],
      ['secret', { url: elsewhere, secret: `whsec_${mark}` }],
      ['tenant_id', { url: elsewhere, tenant_id: anId }],
    ];
    for (const [field, body] of bodies) {
      for (const way of ['POST /v1/webhooks', `PATCH /v1/webhooks/${webhook.id}`]) {
        const answer = await scene.as('admin', way, { body });
        assert.deepEqual([answer.status, answer.body.code], [422, 'invalid'], answer.text);
        assert.equal(answer.body.errors[0].path, field, answer.text);
        assert.ok(!answer.text.includes(mark), answer.text);
      }
    }
    const large = await scene.as('admin', 'POST /v1/webhooks', { raw: `{"url":"${'x'.repeat(1_100_000)}"}` });
    assert.deepEqual([large.status, large.body.code], [413, 'too_large']);
  });

  it('are ten a tenant, however many are asked for at once', async () => {
    const url = elsewhere;
    const made = await Promise.all(
      Array.from({ length: 14 }, () =>
        scene.as('admin', 'POST /v1/webhooks', { body: { url, active: false } }),
      ),
    );
    const there = made.filter(({ status }) => status === 201);
    for (const { body } of there) scene.secrets.push(body.secret);
    assert.equal(there.length, 9);
    assert.ok(made.every(({ status, body }) => status === 201 || body.code === 'conflict'));
    for (const { body } of there) await scene.remove(body);
  });

  it('show a secret once: never in an answer after it, and in no log', async () => {
    const rotated = await scene.ask('admin', `POST /v1/webhooks/${webhook.id}/rotate-secret`, 200, {
      overlap_s: 0,
    });
    scene.secrets.push(rotated.secret);
    await scene.ask('admin', `POST /v1/webhooks/${webhook.id}/test`, 202);
    const shown = [
      await scene.as('admin', 'GET /v1/webhooks'),
      await scene.as('admin', `GET /v1/webhooks/${webhook.id}`),
      await scene.as('admin', `PATCH /v1/webhooks/${webhook.id}`, { body: { description: 'the till' } }),
      await scene.as('admin', `GET /v1/webhooks/${webhook.id}/deliveries`),
      await scene.as('admin', `GET /v1/webhook-deliveries/${delivery.id}`),
      await scene.as('admin', `POST /v1/webhook-deliveries/${delivery.id}/redeliver`),
      await scene.as('admin', 'GET /v1/notifications'),
      await scene.as('staff', `GET /v1/events/${delivery.event_id}/trace`),
      await scene.as(operator, `GET /v1/events/${delivery.event_id}/trace`),
      await scene.as(operator, 'GET /v1/system'),
    ];
    const bytes = scene.secrets.map((secret) => secret.slice('whsec_'.length));
    assert.ok(bytes.length > 10 && bytes.every((it) => it.length > 40));
    for (const { status, text } of shown) {
      assert.ok(status < 300, text);
      for (const secret of bytes) assert.ok(!text.includes(secret), text);
    }
    for (const { text } of shown.slice(7)) assert.ok(!text.includes(mark), 'URLs are the admins’');
    for (const { name, text } of logs()) {
      for (const secret of bytes) assert.ok(!text.includes(secret), name);
      assert.ok(!text.includes(mark), `${name} has a URL`);
    }
  });
});

/** Of the services of the stack under test. */
function logs(): { name: string; text: string }[] {
  const folder = process.env.RAGLINE_LOGS;
  assert.ok(folder, 'RAGLINE_LOGS is not set');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  assert.ok(files.some(({ name }) => name.startsWith('notifications')));
  return files.map(({ name, parentPath }) => ({
    name,
    text: readFileSync(join(parentPath, name), 'latin1'),
  }));
}
