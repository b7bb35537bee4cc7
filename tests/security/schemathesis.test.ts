/** schemathesis reads our OpenAPI document and tries what it allows and what it does not: no answer is a 5xx. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { pythonPackages } from '../support/python.ts';
import { http, origin, tokenOf } from './scene.ts';

const run = promisify(execFile);

const notTried = [
  // What would end the very session that the run goes on with, or lock its user out.
  ...['/v1/auth/logout', '/v1/auth/login', '/v1/auth/refresh'],
  // What has no end.
  ...['/v1/events', '/v1/events/orders', '/v1/conversations/{id}/events'],
  // What the tests that come after it rely on: documents would be deleted, tools switched off.
  ...['/v1/knowledge/documents/{id}', '/v1/tools/{name}'],
];
// A few examples for each operation: minutes would find more, and belong to the night.
const examples = Number(process.env.SCHEMATHESIS_EXAMPLES ?? 8);

describe('schemathesis', function () {
  this.timeout(600_000);

  for (const user of ['staff@demo', 'customer@acme', 'admin@demo'] as const) {
    it(`finds no 5xx as ${user}`, async () => {
      const packages = await pythonPackages(['schemathesis==4.32.0']);
      const before = await http('GET', '/openapi.json');
      assert.ok(Object.keys(before.body.paths).length > 10, 'the document is not complete');
      const args = [
        ...['-m', 'schemathesis.cli', 'run', new URL('/openapi.json', origin).href],
        ...['--url', origin, '--checks', 'not_a_server_error', '--max-examples', String(examples)],
        ...['--phases', 'examples,fuzzing', '--mode', 'all', '--seed', '1', '--workers', '1'],
        ...['--header', `Authorization: Bearer ${await tokenOf(user)}`, '--request-timeout', '20'],
        ...notTried.flatMap((path) => ['--exclude-path', path]),
        ...[
          '--suppress-health-check',
          'all',
          '--generation-database',
          'none',
          '--warnings',
          'off',
          '--no-color',
        ],
      ];
      // It leaves a folder of its own where it runs.
      const cwd = await mkdtemp(join(tmpdir(), 'ragline-schemathesis-'));
      const options = { env: { ...process.env, PYTHONPATH: packages }, cwd, maxBuffer: 64 * 1024 * 1024 };
      const outcome = await run('python3', args, options).catch((error) => error);
      await rm(cwd, { recursive: true, force: true });
      // What it put there mutes and hides: whoever comes after it hears of everything again.
      await http('PUT', '/v1/notification-preferences', { token: await tokenOf(user), body: {} });
      // Null when a signal ended it, undefined when it ended well.
      assert.equal(outcome.code, undefined, `${outcome.stdout}\n${outcome.stderr}`.slice(-4_000));
      assert.match(outcome.stdout, /passed|No issues found/i);
    });
  }
});
