import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'mocha';
import { problem, sendProblem } from './problems.ts';

describe('a problem below /v1/openai', () => {
  it('has the form that clients of that protocol read, whoever refuses the request', async () => {
    const server = createServer((_req, res) => sendProblem(res, problem('rate_limited', 'Too many.'), 'r-1'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const address = server.address();
      assert.ok(typeof address === 'object' && address !== null);
      const origin = `http://127.0.0.1:${address.port}`;
      const answer = await fetch(`${origin}/v1/openai/chat/completions?x=1`);
      assert.equal(answer.status, 429);
      assert.equal(answer.headers.get('content-type'), 'application/json');
      assert.equal(answer.headers.get('retry-after'), '1');
      const error = {
        message: 'Too many.',
        type: 'rate_limit_error',
        param: null,
        code: 'rate_limit_exceeded',
      };
      assert.deepEqual(await answer.json(), { error });
      const other = await fetch(`${origin}/v1/openaiish`);
      assert.equal(other.headers.get('content-type'), 'application/problem+json');
      await other.body?.cancel();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
