import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'mocha';
import { choosePort, isFree } from './ports.ts';

const freeExcept =
  (...taken: number[]) =>
  async (port: number) =>
    !taken.includes(port);

describe('choosing a port', () => {
  it('takes the wanted one when nobody has it', async () => {
    assert.deepEqual(await choosePort(5432, new Set(), { free: freeExcept() }), {
      port: 5432,
      taken: undefined,
    });
  });

  it('takes the one 50000 above when the wanted one is taken, and says so', async () => {
    const choice = await choosePort(5432, new Set(), { free: freeExcept(5432) });
    assert.deepEqual(choice, { port: 55_432, taken: 5432 });
  });

  it('stays below the ports that systems hand out to outgoing connections when both are taken', async () => {
    const { port } = await choosePort(5432, new Set(), {
      free: freeExcept(5432, 55_432),
      random: () => 0.999,
    });
    assert.ok(port >= 20_000 && port < 32_000);
  });

  it('promises a port to one only', async () => {
    const used = new Set<number>();
    const first = await choosePort(8080, used, { free: freeExcept() });
    const second = await choosePort(8080, used, { free: freeExcept() });
    assert.notEqual(first.port, second.port);
  });

  it('sees a port that somebody listens on', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    try {
      assert.equal(await isFree(port), false);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
