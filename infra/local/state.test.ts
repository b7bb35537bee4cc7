import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { AlreadyRunning, holderOf, parseHolder, readRunningEnv, takeFolder, writeEnvFile } from './state.ts';

describe('who holds a data folder', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-state-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is nobody at first, then the start that took it, then nobody again', () => {
    assert.equal(holderOf(folder), undefined);
    const taken = takeFolder(folder);
    assert.equal(holderOf(folder)?.pid, process.pid);
    assert.equal(taken.stale, false);
    taken.release();
    assert.equal(holderOf(folder), undefined);
  });

  it('cannot be two', () => {
    const taken = takeFolder(folder);
    assert.throws(() => takeFolder(folder), AlreadyRunning);
    taken.release();
  });

  it('is nobody when the start was killed and another process has its number now', () => {
    const killed = { pid: process.pid, mark: 'long ago', since: '2026-01-01T00:00:00.000Z' };
    writeFileSync(path.join(folder, 'running.json'), JSON.stringify(killed));
    assert.equal(holderOf(folder), undefined);
    const taken = takeFolder(folder);
    assert.equal(taken.stale, true);
    taken.release();
  });

  for (const text of ['', '{', '[]', '{"pid":"1"}', 'null']) {
    it(`takes a half-written file (${JSON.stringify(text)}) for nobody`, () => {
      assert.equal(parseHolder(text), undefined);
      writeFileSync(path.join(folder, 'running.json'), text);
      takeFolder(folder).release();
    });
  }

  it('tells the settings of a stack only while it runs', () => {
    const taken = takeFolder(folder);
    assert.equal(readRunningEnv(folder), undefined);
    writeEnvFile(folder, { RAGLINE_URL: 'http://localhost:8080' });
    assert.deepEqual(readRunningEnv(folder), { RAGLINE_URL: 'http://localhost:8080' });
    taken.release();
    assert.equal(readRunningEnv(folder), undefined);
  });
});
