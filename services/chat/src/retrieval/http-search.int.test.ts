import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { UnavailableError } from '@ragline/streams/errors';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { after, before, describe, it } from 'mocha';
import { httpTo } from '../../../../tests/support/http.ts';
import { startTokens } from '../../../../tests/support/tokens.ts';
import { createWordEmbedder } from '../embedding/testing.ts';
import { addSearchRoutes } from './http-search.ts';
import { log, startWorld, type World } from './retrieval.support.ts';

describe('GET /v1/knowledge/search', function () {
  this.timeout(60_000);
  const tenant_id = randomUUID();
  let world: World;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let server: Awaited<ReturnType<typeof startServer>>;
  let isAway = false;

  before(async () => {
    world = await startWorld();
    await world.add([
      { tenant_id, title: 'Green tea', text: 'green tea', price: 300 },
      { tenant_id, title: 'Tea policy', text: 'tea policy', kind: 'policy' },
      { tenant_id: randomUUID(), title: "Another's tea", text: 'tea' },
    ]);
    tokens = await startTokens();
    const words = createWordEmbedder();
    const embed: typeof words.embed = (texts) => {
      if (isAway) throw new UnavailableError('away');
      return words.embed(texts);
    };
    const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
    addSearchRoutes(api, { retriever: world.retriever({ embedder: { ...words, embed } }) });
    const parts = { log, metrics: createMetrics({ service: 'test' }), health: createHealth(), api };
    const { app } = createApp({ service: 'chat', ...parts });
    server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log });
  });
  after(async () => {
    await server?.close();
    await tokens?.stop();
    await world?.stop();
  });

  async function search(query: string) {
    const token = await tokens.token({ tenant_id, user_id: randomUUID(), roles: ['customer'] });
    return httpTo(`http://127.0.0.1:${server.port}`)('GET', `/v1/knowledge/search?${query}`, { token });
  }

  it("shows a customer the tenant's own passages with scores and sources, the nearest first", async () => {
    const { status, body } = await search('q=tea+policy');
    assert.equal(status, 200);
    assert.deepEqual(
      body.data.map(({ title }: { title: string }) => title),
      ['Tea policy', 'Green tea'],
    );
    const [first] = body.data;
    assert.ok(first.score > 0.99 && first.source.startsWith('/'));
  });

  it('shows one kind alone, and no more than asked for', async () => {
    const menu = await search('q=tea&kind=menu');
    assert.deepEqual(
      menu.body.data.map(({ kind }: { kind: string }) => kind),
      ['menu'],
    );
    assert.equal((await search('q=tea&limit=1')).body.data.length, 1);
  });

  it('refuses a search for nothing, of another kind, or for too many', async () => {
    for (const query of ['', 'q=+', 'q=tea&kind=order', 'q=tea&limit=51', 'q=tea&limit=0']) {
      assert.equal((await search(query)).status, 422, query);
    }
  });

  it('is for those who have signed in, and says when the model is away', async () => {
    const answer = await httpTo(`http://127.0.0.1:${server.port}`)('GET', '/v1/knowledge/search?q=tea');
    assert.equal(answer.status, 401);
    isAway = true;
    const { status, body } = await search('q=something+new');
    assert.deepEqual([status, body.code], [503, 'unavailable']);
  });
});
