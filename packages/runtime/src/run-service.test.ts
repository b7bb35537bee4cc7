import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'mocha';

describe('the life of a service', () => {
  it('stops in reverse of the order in which it started, and exits with 0', async () => {
    const service = start(`
      own(console.log('started a'), () => console.log('stopped a'));
      own(console.log('started b'), async () => console.log('stopped b'));
      own(setInterval(() => {}, 1000), clearInterval);
    `);
    await service.line('service started');
    service.child.kill('SIGTERM');
    assert.equal(await service.exitCode(), 0);
    assert.deepEqual(service.plain(), ['started a', 'started b', 'stopped b', 'stopped a']);
  });

  it('stops what had started when the start fails, and exits with 1', async () => {
    const service = start(`
      own(1, () => console.log('stopped a'));
      throw new Error('no database');
    `);
    assert.equal(await service.exitCode(), 1);
    assert.deepEqual(service.plain(), ['stopped a']);
    assert.ok(service.text().includes('no database'));
  });

  it('goes on stopping when one part fails to, and then exits with 1', async () => {
    const service = start(`
      own(setInterval(() => {}, 1000), (timer) => { clearInterval(timer); console.log('stopped a'); });
      own(2, () => { throw new Error('stuck'); });
    `);
    await service.line('service started');
    service.child.kill('SIGINT');
    assert.equal(await service.exitCode(), 1);
    assert.deepEqual(service.plain(), ['stopped a']);
  });

  it('does not wait for ever for a part that does not stop', async () => {
    const service = start(`
      own(setInterval(() => {}, 1000), () => new Promise(() => {}));
    `);
    await service.line('service started');
    service.child.kill('SIGTERM');
    assert.equal(await service.exitCode(), 1);
    assert.ok(service.text().includes('stopping took too long'));
  });

  it('stops what had started when it is told to stop during its start', async () => {
    const service = start(`
      own(1, () => console.log('stopped a'));
      console.log('starting b');
      await new Promise((resolve) => setTimeout(resolve, 60000));
    `);
    await service.line('starting b');
    service.child.kill('SIGTERM');
    assert.equal(await service.exitCode(), 0);
    assert.deepEqual(service.plain(), ['starting b', 'stopped a']);
  });

  for (const [kind, code] of [
    ['an error that nobody caught', `setTimeout(() => { throw new Error('lost'); }, 1);`],
    ['a rejection that nobody handled', `setTimeout(() => Promise.reject(new Error('lost')), 1);`],
  ] as const) {
    it(`logs ${kind}, stops and exits with 1`, async () => {
      const service = start(`own(1, () => console.log('stopped a')); ${code}`);
      assert.equal(await service.exitCode(), 1);
      assert.ok(service.text().includes('unhandled error') && service.text().includes('lost'));
      assert.deepEqual(service.plain(), ['stopped a']);
    });
  }
});

/** A process with one service, whose build is the given code. */
function start(build: string) {
  const code = `
    import { createLogger } from './logger.ts';
    import { runService } from './run-service.ts';
    const log = createLogger({ service: 'sample', level: 'info' });
    await runService({ log, stopWithinMs: 300 }, async (own) => { ${build} });
  `;
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const exited = once(child, 'close');
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  return {
    child,
    text: () => text,
    /** The lines that the parts printed themselves. */
    plain: () => text.split('\n').filter((line) => line !== '' && !line.startsWith('{')),
    exitCode: async (): Promise<number | null> => {
      await exited;
      return child.exitCode;
    },
    line: async (part: string): Promise<void> => {
      while (!text.includes(part)) {
        if (child.exitCode !== null) throw new Error(`It ended without “${part}”:\n${text}`);
        await once(child.stdout ?? child, 'data');
      }
    },
  };
}
