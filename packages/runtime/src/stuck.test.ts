import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'mocha';

const watched = (then: string) => `
  import { endWhenStuck } from ${JSON.stringify(new URL('./stuck.ts', import.meta.url).href)};
  endWhenStuck({ afterMs: 400 });
  ${then}`;

describe('a process whose event loop stands still', function () {
  this.timeout(20_000);

  it('is ended', async () => {
    assert.deepEqual(await endOf(watched('setTimeout(() => { for (;;); }, 50);')), [null, 'SIGKILL']);
  });

  it('is left alone while it is only busy, and may end while it is watched', async () => {
    const busy =
      'let left = 20; const work = () => { const until = Date.now() + 30; while (Date.now() < until); if (--left) setImmediate(work); }; work();';
    assert.deepEqual(await endOf(watched(busy)), [0, null]);
  });
});

async function endOf(program: string): Promise<unknown[]> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
  return once(child, 'exit');
}
