import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'mocha';
import { openLog, trimLog } from './process-log.ts';

describe('the log of a process', () => {
  it('is put aside once it is too large, while the process goes on writing to it', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-log-'));
    const file = path.join(folder, 'logs', 'a.log');
    const log = openLog(file);
    try {
      writeSync(log, 'first\n');
      trimLog(file, 100);
      assert.ok(!existsSync(`${file}.1`));
      trimLog(file, 3);
      writeSync(log, 'second\n');
      assert.equal(readFileSync(`${file}.1`, 'utf8'), 'first\n');
      assert.equal(readFileSync(file, 'utf8'), 'second\n');
    } finally {
      closeSync(log);
      rmSync(folder, { recursive: true });
    }
  });
});
