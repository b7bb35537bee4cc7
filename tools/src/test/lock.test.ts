import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
// @ts-expect-error: plain JavaScript, since it runs where no TypeScript does.
import { lockPlatforms, refuseScripts } from '../../bin/lock-platforms.mjs';

describe('package-lock.json', () => {
  const read = (name: string) =>
    JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', '..', name), 'utf8'));
  const mend = 'mend: node tools/bin/lock-platforms.mjs';

  it('has the packages of all platforms, without which npm ci refuses it', () => {
    assert.deepEqual(lockPlatforms(read('package-lock.json')), [], mend);
  });

  it('has no install script that is refused: the one of onnxruntime downloads', () => {
    const project = read('package.json');
    assert.equal(project.allowScripts['onnxruntime-node'], false);
    assert.deepEqual(refuseScripts(read('package-lock.json'), project), [], mend);
  });

  it('loses the install scripts that are refused, wherever the package lies, and no others', () => {
    const script = { hasInstallScript: true };
    const lock = {
      packages: {
        '': {},
        'node_modules/@a/b': { ...script },
        'node_modules/b': { ...script },
        'node_modules/c/node_modules/@a/b': { ...script },
      },
    };
    refuseScripts(lock, { allowScripts: { '@a/b': false, c: true } });
    assert.deepEqual(lock.packages, {
      '': {},
      'node_modules/@a/b': {},
      'node_modules/b': script,
      'node_modules/c/node_modules/@a/b': {},
    });
  });
});
