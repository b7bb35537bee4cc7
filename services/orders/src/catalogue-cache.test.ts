import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import { catalogueCache } from './catalogue-cache.ts';
import { type CatalogueVersions, sharedVersions } from './catalogue-versions.ts';
import type { Lookup, SharedCache } from './shared-cache.ts';

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

describe('the cached catalogue', () => {
  it('loads once for all who ask at the same time', async () => {
    const { instance } = world();
    const { read, loads } = instance();
    const texts = await Promise.all(Array.from({ length: 50 }, () => read()));
    assert.equal(loads(), 1);
    assert.deepEqual(new Set(texts), new Set(['as of 1']));
  });

  it('loads once for two instances that ask at the same time', async () => {
    const { instance } = world();
    const [here, there] = [instance(), instance()];
    await Promise.all([here.read(), there.read()]);
    assert.equal(here.loads() + there.loads(), 1);
  });

  it('shows a change on every instance as soon as it is acknowledged', async () => {
    const { instance, change } = world();
    const [here, there] = [instance(), instance()];
    for (const version of [2, 3, 4]) {
      await Promise.all([here.read(), there.read()]);
      await change(here);
      assert.equal(await there.read(), `as of ${version}`);
      assert.equal(await here.read(), `as of ${version}`);
    }
  });

  it('shows a change although its process died between the commit and the news of it', async () => {
    const { instance, dieAfterCommit } = world();
    const [here, there] = [instance(), instance()];
    await there.read();
    await dieAfterCommit(here);
    assert.equal(await there.read(), 'as of 2');
  });

  it('shows a change although Redis was lost between the commit and the news of it', async () => {
    const { instance, change, redis } = world();
    const [here, there] = [instance(), instance()];
    await there.read();
    await change(here, { beforeNews: () => redis.clear() });
    assert.equal(await there.read(), 'as of 2');
  });

  it('does not write down a version that was read before a change', async () => {
    const { instance, change, database } = world();
    const [here, there] = [instance(), instance()];
    const late = database.hold();
    const stale = there.read();
    await late.isAsked;
    await change(here);
    late.answer();
    await stale;
    assert.equal(await there.read(), 'as of 2');
  });

  it('goes on from Postgres while Redis is away, and misses no change', async () => {
    const { instance, change, redis } = world();
    const [here, there] = [instance(), instance()];
    await there.read();
    redis.isAway = true;
    await change(here);
    assert.equal(await there.read(), 'as of 2');
  });

  it('keeps nothing of a load that failed', async () => {
    const { instance } = world();
    const { read } = instance();
    await assert.rejects(read({ fails: true }));
    assert.equal(await read(), 'as of 1');
  });

  it('keeps tenants apart', async () => {
    const { instance } = world();
    const { cache } = instance();
    assert.equal(await cache.read('a', 'list', async () => 'of a'), 'of a');
    assert.equal(await cache.read('b', 'list', async () => 'of b'), 'of b');
  });
});

/** A database that counts changes, a Redis, and as many instances as the test wants. */
function world() {
  let version = 1;
  const redis = memoryRedis();
  let held: { asked: () => void; until: Promise<void> } | undefined;
  const database = {
    async current() {
      const found = version;
      if (held !== undefined) {
        const { asked, until } = held;
        held = undefined;
        asked();
        await until;
      }
      return found;
    },
    /** The next answer leaves the database at once and arrives late. */
    hold() {
      const asked = Promise.withResolvers<void>();
      const until = Promise.withResolvers<void>();
      held = { asked: asked.resolve, until: until.promise };
      return { isAsked: asked.promise, answer: until.resolve };
    },
  };
  const versionsOf = (): CatalogueVersions =>
    sharedVersions(
      { current: database.current, announce: async () => ({ committed: async () => {} }) },
      redis,
      quiet,
    );

  const instance = () => {
    const versions = versionsOf();
    const cache = catalogueCache({ versions, shared: redis, metrics: createMetrics({ service: 'test' }) });
    let loads = 0;
    const read = ({ fails = false } = {}) =>
      cache.read('tenant', 'list', async () => {
        loads += 1;
        if (fails) throw new Error('the database is away');
        await new Promise((resolve) => setTimeout(resolve, 5));
        return `as of ${version}`;
      });
    return { cache, versions, read, loads: () => loads };
  };
  type Instance = ReturnType<typeof instance>;

  return {
    redis,
    database,
    instance,
    async change({ versions }: Instance, { beforeNews = () => {} } = {}) {
      const announcement = await versions.announce('tenant');
      version += 1;
      beforeNews();
      await announcement.committed(version);
    },
    async dieAfterCommit({ versions }: Instance) {
      await versions.announce('tenant');
      version += 1;
    },
  };
}

/** Keeps what the real one promises; shared-cache.int.test.ts holds that one to the same. */
function memoryRedis() {
  const values = new Map<string, string>();
  const redis = { isAway: false, clear: () => values.clear() };
  const write = (change: () => boolean) => async () => !redis.isAway && change();
  const cache: SharedCache = {
    async get(key): Promise<Lookup> {
      if (redis.isAway) return { state: 'away' };
      const value = values.get(key);
      return value === undefined ? { state: 'absent' } : { state: 'found', value };
    },
    put: (key, value) => write(() => values.set(key, value) === values)(),
    add: (key, value) => write(() => !values.has(key) && values.set(key, value) === values)(),
    raise: (key, mark, version) =>
      write(() => {
        const now = values.get(key);
        if (now === undefined || now === mark || Number(now) < version) values.set(key, String(version));
        return true;
      })(),
    release: (key, mark) => write(() => values.get(key) !== mark || values.delete(key))(),
  };
  return Object.assign(redis, cache);
}
