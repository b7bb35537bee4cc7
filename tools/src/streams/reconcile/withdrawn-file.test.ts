import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodecError, type Decoded } from '@ragline/schemas/codec';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { WithdrawnOrder } from './withdrawn.ts';
import { writeWithdrawn } from './withdrawn-file.ts';

describe('the file of withdrawn orders', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ragline-withdrawn-'));
    file = join(folder, 'list');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('has a line for each order, with what its last event says, or its bytes where no schema is known', async () => {
    const { result, unread } = await writeWithdrawn(file, { decode }, async (tell) => {
      await tell(anOrder('a'), Buffer.from('known'));
      await tell(anOrder('b'), Buffer.from('forgotten'));
      await tell(anOrder('c'), null);
      return 7;
    });
    assert.deepEqual([result, unread], [7, 1]);
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        { ...anOrder('a'), event: { said: 'known' } },
        { ...anOrder('b'), value: Buffer.from('forgotten').toString('base64') },
        { ...anOrder('c'), event: null },
      ],
    );
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['list']);
  });

  it('is not there when Kafka or the registry was away, so that it can be written again', async () => {
    const away = new Error('Kafka is away');
    await assert.rejects(
      writeWithdrawn(file, { decode }, () => Promise.reject(away)),
      away,
    );
    const tellOne = writeWithdrawn(file, { decode }, (tell) => tell(anOrder('a'), Buffer.from('away')));
    await assert.rejects(tellOne, /registry is away/);
    assert.deepEqual(await readdir(folder), []);
    await writeWithdrawn(file, { decode }, async () => {});
    assert.deepEqual(await readdir(folder), ['list']);
  });

  it('takes no other file’s place, also not of one that came meanwhile', async () => {
    await writeFile(file, 'orders of before');
    const refused = writeWithdrawn(file, { decode }, async () => assert.fail('not asked'));
    await assert.rejects(refused, /is there already/);
    await rm(file);
    const late = writeWithdrawn(file, { decode }, async (tell) => {
      await tell(anOrder('a'), Buffer.from('known'));
      await writeFile(file, 'somebody else’s');
    });
    await assert.rejects(late, /The list is whole.*list\.partial/);
    assert.equal(await readFile(file, 'utf8'), 'somebody else’s');
    assert.equal(JSON.parse(await readFile(`${file}.partial`, 'utf8')).order_id, 'a');
  });
});

async function decode(value: Buffer): Promise<Decoded> {
  const said = String(value);
  if (said === 'forgotten') throw new CodecError('schema_unknown', 'The registry has no schema 7');
  if (said === 'away') throw new Error('The registry is away');
  return { schema_id: 1, name: 'order_v1', value: { said } };
}

const anOrder = (order_id: string): WithdrawnOrder => ({
  ...{ order_id, tenant_id: 't', user_id: 'u', kind: 'withdrawn', events: 1 },
  ...{ topic: 'orders.v1', partition: 0, offset: 1, written_at: '2026-01-01T00:00:00.000Z' },
});
