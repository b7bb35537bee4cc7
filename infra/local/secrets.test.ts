import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { newDemoPassword, readSecrets } from './secrets.ts';

describe('secrets of a data folder', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-secrets-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are made once, and only their owner can read them', () => {
    const first = readSecrets(folder);
    assert.deepEqual(readSecrets(folder), first);
    assert.equal(statSync(path.join(folder, 'secrets.json')).mode & 0o777, 0o600);
    assert.equal(new Set(Object.values(first)).size, Object.keys(first).length);
  });

  it('gain what a newer version needs without losing what is in use', () => {
    const { postgres } = readSecrets(folder);
    writeFileSync(path.join(folder, 'secrets.json'), JSON.stringify({ postgres }));
    const secrets = readSecrets(folder);
    assert.equal(secrets.postgres, postgres);
    assert.match(secrets.kafka, /^[0-9a-f]{48}$/);
  });

  it('take the sample password that is set', () => {
    assert.equal(readSecrets(folder, 'tulip-47-oak').demo, 'tulip-47-oak');
  });

  it('have a sample password that can be typed', () => {
    assert.match(newDemoPassword(), /^[a-z]+-\d\d-[a-z]+$/);
  });
});
