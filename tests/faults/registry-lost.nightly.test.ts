/** The registry's content is lost, and docs/operations/registry-lost.md followed, command by command. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { createCodec } from '@ragline/schemas/codec';
import { listSubjects } from '@ragline/schemas/register';
import { anOrderEvent } from '@ragline/schemas/samples';
import { describe, it } from 'mocha';
import pg from 'pg';
import { runRunbook } from '../support/runbook.ts';
import { stack } from '../support/stack.ts';
import { ownParts } from './own-parts.ts';

describe('a system whose registry is lost', function () {
  this.timeout(300_000);
  const parts = ownParts();

  it('reads what was written before: every schema has its number again', async () => {
    const { registryUrl, databaseUrl } = stack();
    const { dataDir } = parts();
    const event = anOrderEvent();
    const bytes = (await createCodec({ registryUrl }).encoder('order_v1'))(event);
    const before = await listSubjects({ registryUrl });
    const env = { RAGLINE_DATA_DIR: dataDir, COPY: path.join(dataDir, 'copy.zip') };
    const kept = await runRunbook('registry-lost.md', 'Before: keep a copy', env);
    assert.equal(kept.code, 0, kept.stderr);

    const database = new URL(databaseUrl);
    database.pathname = '/registry';
    const db = new pg.Client({ connectionString: database.href });
    await db.connect();
    await db.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION ragline_registry');
    await db.end();

    const followed = await runRunbook('registry-lost.md', 'Bring it back', env, 240_000);
    assert.equal(followed.code, 0, followed.stderr + followed.stdout);
    assert.deepEqual(await listSubjects({ registryUrl }), before);
    const { name, value } = await createCodec({ registryUrl }).decode(bytes);
    assert.deepEqual([name, JSON.parse(JSON.stringify(value))], ['order_v1', event]);
  });
});
