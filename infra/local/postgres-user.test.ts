import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { cacheDirOf, postgresHomeOf } from './layout.mjs';
import { postgresUser } from './postgres-user.ts';

const passwd =
  (...lines: string[]) =>
  () =>
    ['root:x:0:0:root:/root:/bin/bash', ...lines, ''].join('\n');
const nobody = 'nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin';

describe('Postgres under root', () => {
  it('runs as postgres where there is such an account', () => {
    const user = postgresUser(true, passwd(nobody, 'postgres:x:101:104::/var/lib/postgresql:/bin/bash'));
    assert.deepEqual(user, { uid: 101, gid: 104 });
  });

  it('runs as nobody elsewhere', () => {
    assert.deepEqual(postgresUser(true, passwd(nobody)), { uid: 65_534, gid: 65_533 });
  });

  it('refuses a machine where it could only run as root', () => {
    assert.throws(() => postgresUser(true, passwd()), /No account/);
  });

  it('runs as whoever starts it when that is not root', () => {
    assert.equal(postgresUser(false), undefined);
  });

  it('keeps its data where that account can reach it, one folder a checkout', () => {
    assert.match(postgresHomeOf('/root/ragline/.ragline', true), /^\/var\/lib\/ragline\/[0-9a-f]{16}$/);
    assert.notEqual(postgresHomeOf('/a/.ragline', true), postgresHomeOf('/b/.ragline', true));
    assert.equal(postgresHomeOf('/a/.ragline', false), '/a/.ragline/postgres');
  });
});

describe('the cache of parts', () => {
  it('is where the person says, else where XDG says', () => {
    assert.equal(cacheDirOf({ RAGLINE_CACHE_DIR: '/c' }), '/c');
    assert.equal(cacheDirOf({ XDG_CACHE_HOME: '/x' }), '/x/ragline');
    assert.match(cacheDirOf({ XDG_CACHE_HOME: 'relative' }), /\.cache\/ragline$/);
  });
});
