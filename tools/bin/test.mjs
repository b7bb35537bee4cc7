// `npm test` on any Node ≥ 18: installs what is missing, then goes on under the pinned Node in tools/src/test/main.ts.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, nodeOf } from './installed.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

try {
  ensureInstalled(root);
} catch (error) {
  console.error(error.message);
  // The same last line as after a run: something failed, and it was the set-up.
  console.log('0 passed, 1 failed');
  process.exit(1);
}

const child = spawn(nodeOf(root), [join(root, 'tools/src/test/main.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
