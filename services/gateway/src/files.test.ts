import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { problemFrom } from '@ragline/web/problem-from';
import { after, before, describe, it } from 'mocha';
import { request } from 'undici';
import { held, readFiles, sendFile } from './files.ts';

describe('a file that is served from memory', () => {
  const file = held(Buffer.from('x'.repeat(2_000)), 'text/plain');
  let server: Server;
  let origin: string;

  before(async () => {
    const files = await readFiles();
    server = createServer((req, res) => {
      if (req.url === '/') return void sendFile(req, res, file);
      files.send(req, res, req.url ?? '').catch((error: unknown) => {
        const { status, headers } = problemFrom(error);
        res.writeHead(status, headers).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  });
  after(() => server.close());

  const get = async (headers: Record<string, string>) => {
    const { statusCode, headers: answered, body } = await request(origin, { headers });
    return { status: statusCode, headers: answered, bytes: (await body.arrayBuffer()).byteLength };
  };

  for (const header of [file.etag, file.etag.slice(2), `"another", ${file.etag}`, '*']) {
    it(`is not sent again to whoever has it: ${header.slice(0, 12)}`, async () => {
      const { status, bytes } = await get({ 'if-none-match': header });
      assert.deepEqual([status, bytes], [304, 0]);
    });
  }

  it('is only read: another method is told which there are', async () => {
    const { statusCode, headers, body } = await request(`${origin}/llms.txt`, { method: 'POST' });
    await body.dump();
    assert.deepEqual([statusCode, headers.allow], [405, 'GET, HEAD']);
    const told = await request(`${origin}/docs`, { method: 'HEAD' });
    assert.equal(told.statusCode, 200);
    assert.equal((await told.body.arrayBuffer()).byteLength, 0);
  });

  it('is sent to whoever has another', async () => {
    const { status, headers } = await get({ 'if-none-match': '"another"' });
    assert.deepEqual([status, headers.etag, headers.vary], [200, file.etag, 'accept-encoding']);
  });

  const encodings: [string, string | undefined][] = [
    ['gzip, br', 'gzip'],
    ['br, gzip;q=0.5', 'gzip'],
    ['gzip;q=0', undefined],
    ['gzip; q=0.0, identity', undefined],
    ['identity', undefined],
  ];
  for (const [accepted, encoding] of encodings) {
    it(`comes ${encoding ?? 'plain'} to whoever takes ${accepted}`, async () => {
      const { headers, bytes } = await get({ 'accept-encoding': accepted });
      assert.equal(headers['content-encoding'], encoding);
      assert.equal(bytes === 2_000, encoding === undefined);
    });
  }
});
