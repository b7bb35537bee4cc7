import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { type Request, RestError } from '../dead-letters/client.ts';
import { keepFiles } from './documents.ts';

describe('importing files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'import-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A gateway that finds a title only in Markdown, and takes nothing that is empty. */
  const client = {
    async call(_method: string, _path: string, { body = {} }: Request = {}) {
      const refuse = (path: string) => {
        throw new RestError('POST', 422, { code: 'invalid', errors: [{ path, message: 'is wrong' }] });
      };
      if (body.content === '') refuse('content');
      const title = body.title ?? /^# (.+)/.exec(String(body.content))?.[1] ?? refuse('title');
      return { status: 201, headers: new Headers(), body: { title } };
    },
  };

  it('calls a text without a title by its file, and goes on behind a file that fails', async () => {
    const [rules, empty, roof] = ['rules.md', 'empty.txt', 'roof.txt'].map((name) => join(folder, name));
    await writeFile(String(rules), '# Rules\n\nNone.');
    await writeFile(String(empty), '');
    await writeFile(String(roof), 'The roof is open.');
    const absent = join(folder, 'absent.md');
    const files = [rules, empty, absent, roof].map(String);
    const { kept, failures } = await keepFiles(client, files, {});
    assert.deepEqual(
      kept.map(({ title }) => title),
      ['Rules', 'roof'],
    );
    assert.equal(failures.length, 2);
    assert.ok(failures[0]?.startsWith(`${empty}: `));
    assert.equal(failures[1], `${absent}: is not there`);
  });
});
