import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';

type Case = {
  name: string;
  key: string;
  record: string;
  state: string;
  letter: string | null;
  event_ids: string[];
};
type Letter = {
  id: string;
  state: string;
  error_code: string;
  topic: string;
  partition: number;
  offset: string;
};

const command = join(import.meta.dirname, '../../tools/bin/ragline.mjs');

describe('the command for an operator, after the demo of what fails', function () {
  this.timeout(120_000);
  let cases: Case[];
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ragline-operator-'));
    cases = JSON.parse((await ragline('demo', 'poison', '--watch', '90', '--outage', '2', '--json')).stdout);
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    const left = (cases ?? []).flatMap(({ letter }) => letter ?? []);
    for (const id of left) await ragline('dead-letters', 'discard', id, '--reason', 'a test');
  });

  it('sees each record come to what was said of it', () => {
    const found = Object.fromEntries(
      cases.map(({ name, state }) => [name, state.replace(/^(letter) .*/, '$1')]),
    );
    assert.deepEqual(found, {
      garbage: 'letter',
      'unknown schema': 'letter',
      'fails, then works': 'handled',
      'always fails': 'letter',
      'can never work': 'letter',
      outage: 'handled',
    });
  });

  it('lists letters by filter, for programs and for people', async () => {
    const { key, letter } = caseOf('unknown schema');
    // Each group that reads the topic has a letter of its own.
    const filter = ['--group', 'notifications', '--key', key];
    const listed = await ragline('dead-letters', 'list', ...filter, '--json');
    const letters: Letter[] = JSON.parse(listed.stdout);
    assert.deepEqual(
      letters.map(({ id, error_code }) => [id, error_code]),
      [[letter, 'schema_unknown']],
    );
    const table = await ragline('dead-letters', 'list', ...filter);
    assert.match(table.stdout, /^id +state +group/);
    assert.match(table.stdout, /schema_unknown/);
  });

  it('shows why, and what waits behind', async () => {
    const { letter, key } = caseOf('can never work');
    const shown = await ragline('dead-letters', 'show', letter ?? '');
    assert.match(shown.stdout, /error_message +Failpoint/);
    const parked = await ragline(
      'dead-letters',
      'parked',
      '--group',
      'notifications',
      '--limit',
      '200',
      '--json',
    );
    const line = JSON.parse(parked.stdout).find((one: { key: string }) => one.key === key);
    assert.deepEqual([line.followers, line.head.dead_letter_id], [2, letter]);
  });

  it('says with its exit code that a replay failed again', async () => {
    const { letter } = caseOf('always fails');
    const replayed = await ragline('dead-letters', 'replay', letter ?? '', '--wait');
    assert.equal(replayed.code, 1);
    assert.match(replayed.stdout, /waiting/);
  });

  it('mends a letter, replays it, and its followers come after it', async () => {
    const { letter, event_ids } = caseOf('can never work');
    const id = letter ?? '';
    const edited = await ragline(
      'dead-letters',
      'edit',
      id,
      '--without-header',
      'x-ragline-failpoint',
      '--note',
      'mended',
    );
    assert.equal(edited.code, 0, edited.stderr);
    const replayed = await ragline('dead-letters', 'replay', id, '--wait', '--json');
    assert.equal(replayed.code, 0, replayed.stderr);
    assert.equal(JSON.parse(replayed.stdout)[0].state, 'resolved');
    assert.equal(event_ids.length, 3);
  });

  it('discards with a reason, and takes it back', async () => {
    const { letter } = caseOf('garbage');
    const id = letter ?? '';
    assert.notEqual((await ragline('dead-letters', 'discard', id)).code, 0, 'without a reason');
    assert.equal((await ragline('dead-letters', 'discard', id, '--reason', 'garbage')).code, 0);
    assert.equal((await ragline('dead-letters', 'restore', id)).code, 0);
    const again = await ragline('dead-letters', 'restore', id);
    assert.equal(again.code, 1);
    assert.match(again.stdout, /409/);
  });

  it('counts before it replays many, and refuses to mean everything', async () => {
    const { letter } = caseOf('garbage');
    const many = ['dead-letters', 'batch', 'create', '--action', 'discard', '--reason', 'a test'];
    const counted = await ragline(...many, '--ids', letter ?? '', '--dry-run', '--json');
    assert.equal(JSON.parse(counted.stdout)[0].counts.selected, 1, counted.stderr);
    const refused = await ragline(...many);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Say which/);
  });

  it('exports to a file what the filter finds', async () => {
    const { key, letter } = caseOf('unknown schema');
    const file = join(folder, 'letters.csv');
    const filter = ['--group', 'notifications', '--key', key];
    const exported = await ragline('dead-letters', 'export', ...filter, '--format', 'csv', '-o', file);
    assert.equal(exported.code, 0, exported.stderr);
    const [head, line] = (await readFile(file, 'utf8')).split('\r\n');
    assert.match(head ?? '', /^id,state,group/);
    assert.ok(line?.startsWith(letter ?? '?'));
  });

  it('shows by which rules alerts are raised', async () => {
    const rules = await ragline('dead-letters', 'alerts', '--rules', '--json');
    assert.ok(JSON.parse(rules.stdout).length >= 3);
  });

  it('says what was wrong, and fails, for a letter that there is not', async () => {
    const shown = await ragline('dead-letters', 'show', '00000000-0000-7000-8000-000000000000');
    assert.equal(shown.code, 1);
    assert.match(shown.stderr, /There is no letter 00000000/);
  });

  function caseOf(name: string): Case {
    const found = cases.find((one) => one.name === name);
    assert.ok(found?.letter, `${name} came to no letter`);
    return found;
  }
});

/** Runs the command as a shell would; never throws for its exit code. */
function ragline(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [command, ...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({
          code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1,
          stdout,
          stderr,
        });
      },
    );
  });
}
