import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { pruneIdempotency } from './idempotency.ts';
import { migrate } from './migrate.ts';
import { appendOutbox } from './outbox.ts';
import { inTenant, type Pool } from './pool.ts';
import { ensureSlot } from './slot.ts';
import { aRow, poolOf } from './testing.ts';

/** As on a managed Postgres: forced row-level security binds this owner, where a superuser would pass it. */
describe('a database whose owner is no superuser', function () {
  this.timeout(60_000);
  const name = `test_owner_${randomBytes(4).toString('hex')}`;
  const url = new URL(stack().databaseUrl);
  const admin = new pg.Client({ connectionString: url.href });
  let owner: pg.Client;
  let identity: Pool;
  let deadLetters: Pool;

  before(async () => {
    Object.assign(url, { username: name, password: name, pathname: `/${name}` });
    await admin.connect();
    await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD '${name}'`);
    await admin.query(`CREATE DATABASE ${name} OWNER ${name}`);
    await makeVectorExtension();
    await migrate({ databaseUrl: url.href, log: createLogger({ service: 'test', level: 'error' }) });
    owner = new pg.Client({ connectionString: url.href });
    await owner.connect();
    identity = poolOf('ragline_identity', 1, name);
    deadLetters = poolOf('ragline_dead_letters', 1, name);
  });
  after(async () => {
    await owner?.end();
    await identity?.end();
    await deadLetters?.end();
    await admin.query(`DROP DATABASE IF EXISTS ${name}`);
    await admin.query(`DROP ROLE IF EXISTS ${name}`);
    await admin.end();
  });

  /** What its operator does beforehand: an extension that is not trusted is no owner's to make. */
  async function makeVectorExtension(): Promise<void> {
    const there = new URL(stack().databaseUrl);
    there.pathname = `/${name}`;
    const superuser = new pg.Client({ connectionString: there.href });
    await superuser.connect();
    await superuser.query('CREATE EXTENSION vector').finally(() => superuser.end());
  }

  it('forgets old answers of all tenants', async () => {
    const tenant = randomUUIDv7();
    await inTenant(identity, tenant, (client) =>
      client.query(
        `INSERT INTO identity.idempotency
         SELECT $1, $1, 'key ' || hours, 'hash', 201, '{}', '{}', now() - hours * interval '1 hour'
           FROM unnest(ARRAY[1, 25, 26]) AS hours`,
        [tenant],
      ),
    );
    assert.equal(await pruneIdempotency(identity, 'identity'), 2);
  });

  it('does not pass over events for which there is no slot', async () => {
    const tenant = randomUUIDv7();
    await inTenant(deadLetters, tenant, (client) => appendOutbox(client, 'dead_letters', [aRow(tenant)]));
    const making = ensureSlot({ databaseUrl: url.href, name: 'test_never_made' });
    await assert.rejects(making, { code: 'slot_missing' });
  });
});
