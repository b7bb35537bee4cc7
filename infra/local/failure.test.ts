import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'mocha';
import { failureLines, lastLines, StartFailure } from './failure.ts';

describe('a failed start', () => {
  it('tells cause, last lines, one command and the log, in that order', () => {
    const failure = new StartFailure('connect', 'Connect did not become ready in 60 s', {
      mend: 'npx ragline doctor --fix slot',
      logFile: '/logs/connect.log',
      more: 'docs/operations/connector.md',
    });
    assert.deepEqual(failureLines(failure, ['ERROR the slot is active']), [
      '✗ Connect did not become ready in 60 s',
      '    ERROR the slot is active',
      '    Mend:  npx ragline doctor --fix slot',
      '    More:  docs/operations/connector.md',
      '    Full log:  /logs/connect.log',
    ]);
  });

  it('shows the last five lines of a log that say something, none wider than a terminal', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-failure-'));
    const log = path.join(folder, 'a.log');
    try {
      writeFileSync(log, `1\n2\n\n3\n4\n5\n${'x'.repeat(500)}\n\n`);
      const lines = lastLines(log);
      assert.deepEqual(lines.slice(0, 4), ['2', '3', '4', '5']);
      assert.equal(lines[4]?.length, 200);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('shows no lines where there is no log', () => {
    assert.deepEqual(lastLines('/nowhere/at/all.log'), []);
    assert.deepEqual(lastLines(undefined), []);
  });
});
