import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'mocha';
import { reachable, verdictOn } from './reachable.ts';

const local = { provider: 'local', model: 'none' } as const;

describe('whether a model can be asked', () => {
  const list = JSON.stringify({ data: [{ id: 'gpt-4.1-mini' }] });
  const cases: [what: string, seen: object, state: string, detail: RegExp, mend: RegExp | null][] = [
    ['that is there', {}, 'ok', /llm.example answers and has gpt-4.1-mini/, null],
    ['whose key is refused', { status: 401 }, 'broken', /refuses the key \(401\)/, /OPENAI_API_KEY/],
    ['that wants a key', { status: 403, hasKey: false }, 'broken', /wants a key/, /OPENAI_API_KEY/],
    [
      'at an address without a list',
      { status: 404 },
      'warning',
      /no list of models/,
      /OPENAI_BASE_URL.*\/v1/,
    ],
    [
      'at the address of something else',
      { listed: '<html>' },
      'broken',
      /not as an OpenAI/,
      /OPENAI_BASE_URL/,
    ],
    ['that the endpoint does not have', { names: ['gpt-9'] }, 'warning', /does not list gpt-9/, /CHAT_MODEL/],
    ['of an endpoint that is broken', { status: 502 }, 'broken', /answers 502/, /OPENAI_BASE_URL/],
  ];
  for (const [what, seen, state, detail, mend] of cases) {
    it(`is told of one ${what}`, () => {
      const usual = { host: 'llm.example', status: 200, listed: list, names: ['gpt-4.1-mini'], hasKey: true };
      const verdict = verdictOn({ ...usual, ...seen });
      assert.equal(verdict.state, state);
      assert.match(verdict.detail, detail);
      if (mend === null) assert.equal(verdict.mend, null);
      else assert.match(verdict.mend ?? '', mend);
    });
  }

  it('is asked once, with the key, and tells neither the key nor where nobody is', async () => {
    const asked: unknown[] = [];
    const server = createServer((req, res) => {
      asked.push([req.method, req.url, req.headers.authorization]);
      res.writeHead(401).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const baseUrl = `http://127.0.0.1:${address.port}/v1/`;
    const model = {
      provider: 'openai',
      apiKey: 'sk-hidden',
      model: 'm',
      fallbackModels: ['offline'],
      baseUrl,
    } as const;
    const refused = await reachable({ model, embedding: local });
    assert.deepEqual(asked, [['GET', '/v1/models', 'Bearer sk-hidden']]);
    assert.equal(refused.state, 'broken');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    const away = await reachable({ model, embedding: local });
    assert.deepEqual([away.state, /ECONNREFUSED/.test(away.detail)], ['broken', true]);
    assert.doesNotMatch(JSON.stringify([refused, away]), /sk-hidden/);
    const offline = await reachable({ model: { ...model, provider: 'offline' }, embedding: local });
    assert.deepEqual([offline.state, offline.answers_by], ['ok', 'the offline responder']);
    assert.equal(asked.length, 1);
  });
});
