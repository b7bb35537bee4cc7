import assert from 'node:assert/strict';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../../tests/support/eventually.ts';
import { forgetKeys } from './keys.ts';

describe('forgetting the keys that sign tokens', function () {
  this.timeout(60_000);
  let scratch: Awaited<ReturnType<typeof scratchDatabase>>;
  let owner: pg.Client;
  const count = async () =>
    (await owner.query('SELECT count(*)::int AS count FROM identity.signing_key')).rows[0].count;

  before(async () => {
    scratch = await scratchDatabase();
    owner = new pg.Client({ connectionString: scratch.url });
    await owner.connect();
    await owner.query(
      "INSERT INTO identity.signing_key (kid, public_jwk, private_sealed, signs_from) VALUES ('a', '{}', '', now())",
    );
  });
  after(async () => {
    await owner?.end();
    await scratch?.drop();
  });

  it('waits for identity to be stopped, which would make new ones by the secret that is out', async () => {
    const identity = poolOf('ragline_identity', 1, scratch.name);
    await identity.query('SELECT 1');
    await assert.rejects(forgetKeys(owner), /Identity is running .*stop all of its instances/);
    assert.equal(await count(), 1);
    await identity.end();
    await eventually(async () => assert.equal(await forgetKeys(owner), 1));
    assert.equal(await count(), 0);
  });
});
