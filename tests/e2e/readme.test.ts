import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

describe('the README', () => {
  it('leads to a first order by its own commands', async () => {
    const [, block = ''] = /```bash\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    // The settings of the stack under test are in the environment already.
    const commands = block.split('\n').filter((line) => !line.startsWith('eval '));
    assert.ok(commands.length > 5, 'the block of commands was found');
    const { stdout } = await run('bash', ['-euc', commands.join('\n')], { cwd: root, timeout: 50_000 });
    assert.match(stdout, /^HTTP\/1\.1 201 /);
    const order = JSON.parse(stdout.slice(stdout.indexOf('{')));
    assert.equal(order.status, 'pending');
    assert.equal(order.items[0].quantity, 2);
  });
});
