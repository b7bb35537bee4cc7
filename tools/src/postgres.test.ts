import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ownPostgres } from './postgres.ts';

describe('the Postgres that ragline postgres copies', () => {
  const running = { DATABASE_URL: 'postgres://ragline:a@127.0.0.1:15432/ragline', PID_POSTGRES_1: '7' };

  it('is that of the stack that runs', () => {
    assert.equal(ownPostgres({}, running).href, running.DATABASE_URL);
    assert.equal(ownPostgres({ DATABASE_URL: running.DATABASE_URL }, running).href, running.DATABASE_URL);
  });

  it('is no other one, whatever data is left here from before', () => {
    const DATABASE_URL = 'postgres://me@db.example/ragline';
    assert.throws(() => ownPostgres({ DATABASE_URL }, running), /DATABASE_URL .* copy it by its own means/);
    assert.throws(
      () => ownPostgres({ DATABASE_URL }, { DATABASE_URL }),
      /The stack .* copy it by its own means/,
    );
    assert.throws(() => ownPostgres({ DATABASE_URL }, undefined), /No stack runs/);
  });
});
