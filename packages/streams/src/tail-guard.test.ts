import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'mocha';
import { createTailClient } from './tail-client.ts';

describe('a connection to a broker that dies in the middle of a login', () => {
  const sockets = new Set<Socket>();
  const broker = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  });
  let port = 0;
  before(async () => {
    await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
    const address = broker.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  after(() => new Promise((resolve) => broker.close(resolve)));

  it('is an error for who asked, and nothing more', async () => {
    const unheard: unknown[] = [];
    const note = (error: unknown) => unheard.push(error);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', note);
    const client = createTailClient({
      kafka: { brokers: [`127.0.0.1:${port}`], username: 'any', password: 'any' },
      clientId: 'guarded',
    });
    try {
      await assert.rejects(client.plan('orders.v1'));
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(unheard, []);
      assert.ok(sockets.size > 0);
    } finally {
      await client.close();
      process.removeListener('uncaughtException', note);
      for (const other of others) process.on('uncaughtException', other);
    }
  });
});
