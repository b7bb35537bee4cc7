import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { eventually } from '../../tests/support/eventually.ts';
import { StartFailure } from './failure.ts';
import { isAlive } from './processes.ts';
import { type ProcessDefinition, restartDelayMs, type SupervisedProcess, supervise } from './supervisor.ts';

describe('the supervisor', function () {
  this.timeout(30_000);
  let folder = '';
  let running: SupervisedProcess | undefined;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-supervisor-'));
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(folder, { recursive: true });
  });

  /** A process that says it is ready by a file, and runs until it is told to stop. */
  function aProcess(script: string, more: Partial<ProcessDefinition> = {}): ProcessDefinition {
    return {
      name: 'sample',
      logFile: path.join(folder, 'sample.log'),
      command: () => ({ file: process.execPath, args: ['-e', script], cwd: folder }),
      ready: async () => assert.ok(existsSync(path.join(folder, 'ready'))),
      readyWithinMs: 10_000,
      ...more,
    };
  }
  const staysUp = `require('fs').writeFileSync('ready', String(process.pid)); setInterval(() => {}, 1000)`;

  it('starts a process, and stops it', async () => {
    running = await supervise(aProcess(staysUp), { dataDir: folder });
    const pid = running.pid();
    assert.ok(pid && isAlive(pid));
    await running.stop();
    assert.ok(!isAlive(pid));
    assert.equal(running.state(), 'stopped');
  });

  it('starts a process again that is killed', async () => {
    running = await supervise(aProcess(staysUp), { dataDir: folder });
    const first = running.pid();
    running.kill('SIGKILL');
    await eventually(() => assert.notEqual(readFileSync(path.join(folder, 'ready'), 'utf8'), String(first)), {
      withinMs: 10_000,
    });
    await running.untilReady(10_000);
    assert.notEqual(running.pid(), first);
    assert.equal(running.restarts(), 1);
  });

  it('kills and starts again a process whose health check fails for long', async () => {
    let isWell = true;
    const healthy = async () => assert.ok(isWell);
    running = await supervise(aProcess(staysUp, { healthy }), {
      dataDir: folder,
      unhealthyRestartMs: 1,
      healthEveryMs: 50,
    });
    const first = running.pid();
    isWell = false;
    await eventually(() => assert.ok(first && !isAlive(first)), { withinMs: 15_000 });
    isWell = true;
    await running.untilReady(10_000);
    assert.notEqual(running.pid(), first);
  });

  it('fails when the process ends before it is ready, and leaves it dead', async () => {
    const start = supervise(aProcess(`console.log('no room'); process.exit(3)`), { dataDir: folder });
    await assert.rejects(
      start,
      (error) => error instanceof StartFailure && /exit code 3/.test(error.message),
    );
    assert.match(readFileSync(path.join(folder, 'sample.log'), 'utf8'), /no room/);
  });

  it('fails when the program is not there', async () => {
    const command = () => ({ file: path.join(folder, 'missing'), args: [] });
    await assert.rejects(supervise(aProcess('', { command }), { dataDir: folder }), StartFailure);
  });

  it('gives up a first start that is called off', async () => {
    const off = new AbortController();
    const start = supervise(aProcess('setInterval(() => {}, 1000)'), { dataDir: folder, signal: off.signal });
    off.abort();
    await assert.rejects(start, StartFailure);
  });

  it('waits longer before each restart in a row, 15 s at most', () => {
    assert.deepEqual([0, 1, 2, 6, 7, 50].map(restartDelayMs), [200, 400, 800, 12_800, 15_000, 15_000]);
  });
});
