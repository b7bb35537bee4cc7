import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { findK6 } from './k6.ts';

describe('the program k6', function () {
  this.timeout(20_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ragline-k6-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('is the one that is named, else that of the machine', async () => {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'k6'), '');
    assert.equal(await findK6({ K6: '/opt/k6', PATH: bin }), '/opt/k6');
    assert.equal(await findK6({ PATH: `${folder}:${bin}` }), join(bin, 'k6'));
  });

  it('is told how to get where there is neither k6 nor Go, and nothing half is left', async () => {
    const cache = join(folder, 'cache');
    await assert.rejects(findK6({ PATH: folder, RAGLINE_CACHE_DIR: cache }), /install k6 \(or Go.*or set K6/);
    assert.deepEqual(await readdir(cache), []);
  });
});
