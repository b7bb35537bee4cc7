/** A person leaves twenty marks in the whole system, and after `ragline erase` nobody can read one of them. */
import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createKafka, type Kafka } from '@ragline/streams/kafka-client';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { WebSocket } from 'ws';
import { type Session, signIn } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpRequest, httpTo } from '../support/http.ts';
import { runRunbook } from '../support/runbook.ts';
import { stack } from '../support/stack.ts';
import { openTalk } from './chat-scene.ts';
import { etagOf, openScene, type Scene } from './dead-letters-scene.ts';
import { garbageOf, type Marks, markNames, newMarks, type Places, searchEverything } from './erase-scene.ts';

const password = 'window-29-lamp';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describe('a person who is erased', function () {
  this.timeout(120_000);
  const http = httpTo(process.env.RAGLINE_URL ?? '');
  const foreignLetters = `test-${randomUUID()}.dlq`;
  let scene: Scene;
  let marks: Marks;
  let owner: pg.Pool;
  let kafka: Kafka;
  let tenant: string;
  let address: string;
  let person: Session;
  let orderId: string;
  let token: string;
  const sockets: WebSocket[] = [];

  before(async () => {
    scene = await openScene();
    marks = newMarks();
    owner = new pg.Pool({ connectionString: stack().databaseUrl, max: 2 });
    kafka = createKafka({ ...stack().kafka, clientId: 'test-erase', log: quiet });
    tenant = scene.slug;
    await plant();
  });
  after(async () => {
    for (const socket of sockets) socket.terminate();
    const admin = kafka?.admin();
    await admin?.connect();
    await admin?.deleteTopics({ topics: [foreignLetters] }).catch(() => {});
    await admin?.disconnect();
    await owner?.end();
    await scene?.close();
  });

  /** As the person, with an Idempotency-Key where one is given. */
  const by = async (method: string, path: string, { key, ...more }: HttpRequest & { key?: string } = {}) => {
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
    return http(method, path, { ...more, token: await person.token(), headers });
  };

  async function plant(): Promise<void> {
    const { of } = marks;
    address = `${of('address')}@${tenant}.example`;
    const made = await scene.call('admin', 'POST', '/v1/users', {
      body: { email: address, name: of('name'), password, roles: ['customer'] },
      headers: { 'idempotency-key': randomUUID() },
    });
    assert.equal(made.status, 201, made.text);
    person = await signIn(process.env.RAGLINE_URL ?? '', tenant, address, password);
    token = await person.token();
    await plantOrder();
    await plantTalk();
    await plantFailures();
  }

  async function plantOrder(): Promise<void> {
    const { of } = marks;
    const body = { name: `Soup ${randomUUID()}`, price: 500, currency: 'EUR' };
    const product = await scene.ask('staff', 'POST', '/v1/products', body, 201);
    const items = [{ product_id: product.id, quantity: 1, notes: of('item notes') }];
    const order = { items, notes: of('order notes') };
    const placed = await by('POST', '/v1/orders', { key: of('order key'), body: order });
    assert.equal(placed.status, 201, placed.text);
    orderId = placed.body.id;
    const cancelled = await scene.call('staff', 'POST', `/v1/orders/${orderId}/cancel`, {
      body: { reason: of('cancel reason') },
      headers: { 'idempotency-key': randomUUID() },
    });
    assert.equal(cancelled.status, 200, cancelled.text);
  }

  async function plantTalk(): Promise<void> {
    const { of } = marks;
    const opened = await by('POST', '/v1/conversations', { key: of('conversation key'), body: {} });
    assert.equal(opened.status, 201, opened.text);
    const path = `/v1/conversations/${opened.body.id}/messages`;
    const asked = await by('POST', path, {
      key: of('question key'),
      body: { content: `When do you open? ${of('question over REST')}` },
      withinMs: 40_000,
    });
    assert.ok(asked.status < 300, asked.text);
    const talk = await openTalk(person);
    await talk.ask(`Do you deliver? ${of('question over a stream')}`);
    await talk.ask(`I want to order one soup. ${of('wish to order')}`);
    const socket = await open('/ws/chat');
    const content = `And on Sundays? ${of('question over a socket')}`;
    socket.send(JSON.stringify({ type: 'message', id: 1, conversation_id: talk.id, content }));
    await eventually(async () => assert.equal((await talk.messages()).length, 6), { withinMs: 30_000 });
    await eventually(
      async () => assert.ok((await talk.messages()).every(({ state }) => state === 'completed')),
      { withinMs: 30_000 },
    );
    // The assistant writes one when a conversation is long.
    await owner.query('UPDATE chat.conversation SET summary = $2 WHERE id = $1', [talk.id, of('summary')]);
  }

  /** Records that fail: of the person's order, as nobody can read them; and what operators write about them. */
  async function plantFailures(): Promise<void> {
    const { of } = marks;
    const head = garbageOf(person, of('poison bytes'), { 'x-note': of('poison header') });
    await scene.send([{ key: orderId, ...head }]);
    await scene.letter(`group=notifications&key=${orderId}`);
    await scene.send([{ key: orderId, ...garbageOf(person, of('parked follower')) }]);
    await eventually(
      async () => {
        // A line of garbage is of no tenant that could be believed.
        const { rows } = await owner.query<{ parked: number }>(
          `SELECT count(*) AS parked FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
            WHERE k.group_id = 'notifications' AND k.key = convert_to($1, 'UTF8')`,
          [orderId],
        );
        assert.equal(Number(rows[0]?.parked), 2);
      },
      { withinMs: 20_000, everyMs: 100 },
    );

    const [event] = scene.anOrder(1);
    assert.ok(event);
    const own = { ...event, user_id: person.userId, order: { ...event.order, user_id: person.userId } };
    await scene.send([{ event: own, headers: { 'x-ragline-failpoint': 'permanent' } }]);
    const { id } = await scene.letter(`group=notifications&key=${own.order.id}`);
    const path = `/v1/dead-letters/${id}`;
    for (const body of [{ note: of('letter note') }, { headers: { 'x-hint': of('letter edit') } }]) {
      const read = await scene.call('operator', 'GET', path);
      const answer = await scene.call('operator', 'PATCH', path, { body, headers: etagOf(read) });
      assert.equal(answer.status, 200, answer.text);
    }

    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: foreignLetters, numPartitions: 1 }] });
    await admin.disconnect();
    const producer = kafka.producer();
    await producer.connect();
    const key = randomUUIDv7();
    const message = { key, ...garbageOf(person, of('letter of another group')) };
    await producer.send({ topic: foreignLetters, messages: [message] });
    await producer.disconnect();
    const letter = await scene.letter(`key=${key}`);
    const reason = of('discard reason');
    await scene.ask('operator', 'POST', `/v1/dead-letters/${letter.id}/discard`, { reason });
  }

  async function open(path: string): Promise<WebSocket> {
    const socket = new WebSocket(new URL(path, process.env.RAGLINE_URL?.replace(/^http/, 'ws')), {
      headers: { authorization: `Bearer ${token}` },
    });
    sockets.push(socket);
    await new Promise((resolve, reject) => {
      socket.once('message', resolve);
      socket.once('error', reject);
    });
    return socket;
  }

  const said = (places: Places) =>
    [...places].map(([mark, where]) => `${markNames[marks.all.indexOf(mark)]}: ${[...where].join(', ')}`);

  it('left twenty marks, each of which a search through everything finds', async () => {
    const places = await searchEverything(marks.all, owner);
    const missing = markNames.filter((name) => !places.has(marks.of(name)));
    assert.deepEqual(missing, []);
    assert.equal(places.size, 20);
    const inLogs = said(places).filter((line) => /: .*\blog /.test(line));
    assert.deepEqual(inLogs, [], 'logs have no content, whoever is erased');
  });

  it("is in the tenant's export, with what was said and ordered", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'ragline-export-')), 'out');
    const { code, stderr, stdout } = await runRunbook('tenant-exported.md', 'Export', {
      TENANT: tenant,
      FOLDER: folder,
    });
    assert.equal(code, 0, stderr);
    const text = async (name: string) => readFile(join(folder, `${name}.ndjson`), 'utf8');
    const { of } = marks;
    assert.ok((await text('users')).includes(of('name')));
    assert.ok((await text('orders')).includes(of('order notes')));
    assert.match(await text('orders'), /"event_type":"order_cancelled"/);
    for (const question of ['question over REST', 'question over a socket'] as const)
      assert.ok((await text('messages')).includes(of(question)));
    assert.match(stdout, /messages\.ndjson +8/);
    await rm(dirname(folder), { recursive: true });
  });

  it('is counted beforehand, and nothing is changed by that', async () => {
    const dry = await runRunbook('person-erased.md', 'See what it would do', {
      TENANT: tenant,
      USER_ADDRESS: address,
    });
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /conversations +2/);
    assert.match(dry.stdout, /Nothing was changed/);
    assert.equal((await http('GET', '/v1/auth/me', { token })).status, 200);
  });

  it('leaves 0 of 20 marks readable, and no way in', async () => {
    const watching = await open('/ws');
    const closed = new Promise<number>((resolve) => watching.once('close', resolve));
    // Somebody wrote garbage into a topic of others' events; only a person may decide to cut that.
    const first = await runRunbook('person-erased.md', 'Erase', { TENANT: tenant, USER_ADDRESS: address });
    assert.equal(first.code, 1, first.stderr);
    assert.match(first.stderr, new RegExp(`^user ${person.userId}$`, 'm'), 'the id by which one goes on');
    assert.match(first.stdout, /orders\.v1\/\d+ .*--cut orders\.v1/);
    assert.equal(await closed, 4401);
    for (const path of ['/v1/auth/me', '/v1/orders', '/v1/notifications', '/v1/conversations'])
      assert.equal((await http('GET', path, { token })).status, 401, path);

    const places = await searchEverything(marks.all, owner);
    const left = said(places).filter((line) => !/: topic orders\.v1$/.test(line));
    assert.deepEqual(left, []);

    const second = await runRunbook('person-erased.md', "Cut a topic that holds others' events", {
      TENANT: tenant,
      USER_ID: person.userId,
      USER_ADDRESS: address,
    });
    assert.equal(second.code, 0, second.stdout + second.stderr);
    assert.deepEqual(said(await searchEverything(marks.all, owner)), []);
  });
});
