/** The assistant's surface: conversations are their owner's, knowledge its tenant's, and nothing inside is reached from outside. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import type { HttpRequest } from '../support/http.ts';
import { http, openSocket, tokenOf } from './scene.ts';

const owner = 'customer@demo';
const strangers = ['staff@demo', 'admin@demo', 'customer@acme', 'admin@acme', 'operator@ragline'] as const;
const anId = '019a0000-0000-7000-8000-0000000000ff';

const as = async (user: string, method: string, path: string, request: HttpRequest = {}) =>
  http(method, path, { ...request, token: await tokenOf(user) });

describe('the assistant', function () {
  this.timeout(60_000);
  const word = `quince${randomUUID().slice(0, 8)}`;
  let conversation: string;
  let document: string;

  before(async () => {
    const made = await as(owner, 'POST', '/v1/conversations', { body: {} });
    assert.equal(made.status, 201, made.text);
    conversation = made.body.id;
    const asked = await as(owner, 'POST', `/v1/conversations/${conversation}/messages`, {
      body: { content: `My secret word is ${word}. When do you open?` },
      headers: { prefer: 'respond-async' },
    });
    assert.equal(asked.status, 202, asked.text);
    const kept = await as('staff@demo', 'POST', '/v1/knowledge/documents', {
      body: { kind: 'note', title: `About ${word}`, content: `The ${word} stands behind the counter.` },
    });
    assert.equal(kept.status, 201, kept.text);
    document = kept.body.id;
  });
  after(async () => {
    await as('staff@demo', 'DELETE', `/v1/knowledge/documents/${document}`);
  });

  it("shows a conversation to its owner, and hides it from staff and other tenants' users alike", async () => {
    const path = `/v1/conversations/${conversation}`;
    assert.equal((await as(owner, 'GET', path)).status, 200);
    const ways: [string, string, object?][] = [
      ['GET', path],
      ['GET', `${path}/messages`],
      ['POST', `${path}/messages`, { content: 'What did he say?' }],
      ['POST', `${path}/stop`, {}],
      ['POST', `${path}/approvals/${anId}`, { decision: 'approve' }],
    ];
    for (const user of strangers) {
      for (const [method, way, body] of ways) {
        const answer = await as(user, method, way, body === undefined ? {} : { body });
        assert.ok([403, 404].includes(answer.status), `${user} ${method} ${way}: ${answer.status}`);
        assert.ok(!answer.text.includes(word), `${user} ${method} ${way}`);
      }
    }
  });

  it('lists to each user their own conversations and no others', async () => {
    for (const user of strangers) {
      const { text } = await as(user, 'GET', '/v1/conversations?limit=200');
      assert.ok(!text.includes(conversation), user);
    }
    assert.ok((await as(owner, 'GET', '/v1/conversations?limit=200')).text.includes(conversation));
  });

  it('opens the channel of a conversation to its owner alone', async () => {
    for (const [user, type] of [
      [owner, 'ok'],
      ['staff@demo', 'error'],
      ['customer@acme', 'error'],
    ] as const) {
      const socket = await openSocket(user);
      try {
        socket.send({ type: 'subscribe', id: 'c', channel: `conversation:${conversation}` });
        const told = await eventually(() => {
          const found = socket.messages.find(({ id }) => id === 'c');
          assert.ok(found);
          return found;
        });
        assert.deepEqual([told.type, told.code], [type, type === 'ok' ? undefined : 'not_found'], user);
      } finally {
        socket.close();
      }
    }
  });

  it("keeps one tenant's documents from every other tenant's staff, lists and searches", async () => {
    const path = `/v1/knowledge/documents/${document}`;
    assert.equal((await as('staff@demo', 'GET', path)).status, 200);
    for (const user of ['staff@acme', 'admin@acme', 'customer@acme', 'operator@ragline']) {
      for (const way of [
        ['GET', path],
        ['DELETE', path],
        ['GET', '/v1/knowledge/documents?limit=200'],
        ['GET', `/v1/knowledge/search?q=${word}&limit=50`],
      ] as const) {
        const answer = await as(user, way[0], way[1]);
        assert.ok(answer.status < 500, `${user} ${way}: ${answer.status}`);
        assert.ok(!answer.text.includes(document) && !answer.text.includes(word), `${user} ${way}`);
      }
    }
    assert.equal((await as('staff@demo', 'GET', path)).status, 200, 'nobody else deleted it');
  });

  it('lets only staff write documents, and only admins switch tools', async () => {
    const body = { kind: 'note', title: 'x', content: 'x' };
    assert.equal((await as(owner, 'POST', '/v1/knowledge/documents', { body })).status, 403);
    assert.equal((await as(owner, 'GET', '/v1/tools')).status, 403);
    for (const user of [owner, 'staff@demo']) {
      const answer = await as(user, 'PATCH', '/v1/tools/confirm', { body: { enabled: false } });
      assert.equal(answer.status, 403, user);
    }
  });

  it('gives nobody outside a token of another user, however the path is written', async () => {
    const request = {
      headers: { authorization: 'Bearer x' },
      body: { tenant_id: anId, user_id: anId },
    };
    for (const path of [
      '/internal/v1/delegated-tokens',
      '/v1/auth/..%2f..%2finternal/v1/delegated-tokens',
      '/v1/auth/%2e%2e/%2e%2e/internal/v1/delegated-tokens',
      '/v1/conversations/..;/..;/internal/v1/delegated-tokens',
      '/v1/auth/internal/v1/delegated-tokens',
    ]) {
      const answer = await http('POST', path, request);
      assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
      assert.ok(!answer.text.includes('access_token'), path);
    }
  });

  it('asks for a token at each of its doors', async () => {
    for (const [method, path] of [
      ['GET', '/v1/conversations'],
      ['POST', '/v1/conversations'],
      ['POST', `/v1/conversations/${anId}/messages`],
      ['GET', `/v1/conversations/${anId}/events`],
      ['GET', '/v1/knowledge/search?q=x'],
      ['GET', '/v1/knowledge/documents'],
      ['GET', '/v1/tools'],
      ['POST', '/v1/openai/chat/completions'],
      ['GET', '/v1/openai/models'],
    ] as const) {
      const answer = await http(method, path, method === 'POST' ? { body: {} } : {});
      assert.equal(answer.status, 401, `${method} ${path}`);
    }
  });

  const contents: [string, unknown][] = [
    ['nothing', {}],
    ['an empty question', { content: '' }],
    ['a question that is no text', { content: { $ne: 1 } }],
    ['a NUL byte', { content: 'a\u0000b' }],
    ['an unknown field', { content: 'Hello', role: 'system' }],
    ['a question without an end', { content: 'x'.repeat(500_000) }],
  ];
  for (const [what, body] of contents) {
    it(`refuses ${what}`, async () => {
      const answer = await as(owner, 'POST', `/v1/conversations/${conversation}/messages`, { body });
      assert.ok([400, 413, 422].includes(answer.status), `${answer.status} ${answer.text.slice(0, 200)}`);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
    });
  }

  it('takes a document of several mebibytes for too long, not for a reason to fall over', async () => {
    const body = { kind: 'note', title: 'long', content: 'word '.repeat(1_200_000) };
    const answer = await as('staff@demo', 'POST', '/v1/knowledge/documents', { body, withinMs: 30_000 });
    assert.ok([413, 422].includes(answer.status), `${answer.status} ${answer.text.slice(0, 200)}`);
  });
});
