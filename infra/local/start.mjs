#!/usr/bin/env node
// `npm start`. Runs on any Node from 18 on and without packages: looks at the machine, installs the packages, then
// hands over to start.ts on the Node that came with them.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 18) {
  console.error(
    `  ✗ Node ${process.versions.node} is too old\n    Mend:  install Node 18 or newer (RAGline brings its own Node 24 along)`,
  );
  process.exit(1);
}

const { isInstalled, nodeOf } = await import('../../tools/bin/installed.mjs');
const { createDisplay } = await import('./display.mjs');
const { checkoutDir, dataDirOf } = await import('./layout.mjs');
const { checkMachine, gb } = await import('./preflight.mjs');

const args = process.argv.slice(2);
const json = args.includes('--json');
const display = createDisplay({ json });

// A running stack uses the packages: nothing is installed under its feet.
if (!args.includes('--help') && !isRunning()) {
  const packagesMissing = !isInstalled(checkoutDir);
  display.text(title());
  const rows = checkMachine({ packagesMissing });
  for (const { name, state, text } of rows) {
    display.event({ stage: 'checking', item: name, state: state === 'failed' ? 'warning' : state, text });
  }
  const failed = rows.filter(({ state }) => state === 'failed');
  if (failed.length > 0) giveUp(failed);
  if (packagesMissing) await installPackages();
}
display.end();
handOver();

function title() {
  const { version } = JSON.parse(readFileSync(path.join(checkoutDir, 'package.json'), 'utf8'));
  const machine = `${process.platform} ${process.arch} · ${os.cpus().length} cores · ${gb(os.totalmem())}`;
  const data = path.relative(process.cwd(), dataDirOf(process.env)) || '.';
  return `\n  RAGline ${version}   (${machine} · data in ${data.startsWith('..') ? dataDirOf(process.env) : data}/)\n`;
}

function isRunning() {
  try {
    process.kill(JSON.parse(readFileSync(path.join(dataDirOf(process.env), 'running.json'), 'utf8')).pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function giveUp(failed) {
  display.data({ event: 'failed', part: 'checking', faults: failed });
  for (const { text, mend } of failed) display.text(`\n  ✗ ${text}\n    Mend:  ${mend}`);
  process.exit(1);
}

function installPackages() {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const began = performance.now();
  display.event({ stage: 'packages', item: 'packages', state: 'begun' });
  // The onnxruntime package would otherwise fetch from outside of the registry and fail the install.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  return new Promise((resolve) => {
    const child = spawn(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: checkoutDir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output = (output + chunk).slice(-20_000);
      });
    }
    child.once('error', () => {
      giveUp([{ text: 'npm is not on the PATH', mend: 'install npm beside Node' }]);
    });
    child.once('exit', (code) => {
      if (code !== 0) return packagesFailed(output);
      display.event({
        stage: 'packages',
        item: 'packages',
        state: 'done',
        text: `packages from package-lock.json ${Math.round((performance.now() - began) / 1000)} s`,
      });
      resolve();
    });
  });
}

function packagesFailed(output) {
  const lines = output
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-5);
  const full = /ENOSPC|no space left/i.test(output);
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/.test(output);
  const cause = full ? 'the disk is full' : offline ? 'the network does not answer' : 'npm ci failed';
  display.data({ event: 'failed', part: 'packages', cause, log_lines: lines });
  display.text(`\n  ✗ The packages could not be installed: ${cause}`);
  for (const line of lines) display.text(`      ${line.slice(0, 200)}`);
  display.text('    Mend:  npm start    (again; what is half installed is replaced)');
  process.exit(1);
}

function handOver() {
  const node = nodeOf(checkoutDir);
  if (!existsSync(node))
    giveUp([
      { text: 'The pinned Node is missing in node_modules', mend: 'rm -rf node_modules && npm start' },
    ]);
  const child = spawn(node, [fileURLToPath(new URL('start.ts', import.meta.url)), ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      RAGLINE_STARTED_AT: process.env.RAGLINE_STARTED_AT ?? String(performance.timeOrigin),
    },
  });
  // The terminal sends Ctrl-C to both; this one only waits for the other to end in order.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
