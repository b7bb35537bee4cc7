import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, it } from 'mocha';
import { measure } from './webhooks.ts';

describe('bench webhooks', () => {
  const asked: string[] = [];
  const server = http.createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    if (req.method === 'DELETE') return void res.writeHead(204).end();
    const status = req.url === '/v1/webhooks' ? 201 : 200;
    res.writeHead(status).end(JSON.stringify({ access_token: 't', data: [{ id: 'p' }], id: 'w' }));
  });
  let url = '';
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  it('removes its webhook when what it is compared with does not start', async () => {
    const known = new Map([
      ['RAGLINE_URL', url],
      ['URL_ORDERS_1', url],
      ['RAGLINE_DEMO_PASSWORD', 'secret'],
    ]);
    const settings = {
      find: (name: string) => known.get(name),
      get(name: string) {
        const value = known.get(name);
        if (value === undefined) throw new Error(`${name} is not set`);
        return value;
      },
    };
    await assert.rejects(
      measure(settings, { rate: 1, seconds: 1, warmup: 0, rounds: 1 }),
      /KAFKA.* is not set/,
    );
    assert.deepEqual(asked.slice(-2), ['POST /v1/webhooks', 'DELETE /v1/webhooks/w']);
  });
});
