import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { type Http, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import {
  type Instance,
  makeScene,
  makeTenant,
  type Person,
  password,
  type Scene,
  someAddress,
  startInstance,
} from './identity.support.ts';

describe('limits of signing in', function () {
  this.timeout(60_000);
  let scene: Scene;
  const instances: Instance[] = [];
  let env: Record<string, string>;
  let limited: Http;
  let unlimited: Http;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    env = {
      DATABASE_URL: scene.serviceUrl,
      SCHEMA_REGISTRY_URL: parts.registryUrl,
      KEY_ENCRYPTION_SECRET: 'a-secret-for-tests-of-identity-0123456789',
      LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: '5',
    };
    [limited, unlimited] = await Promise.all([start({}), start({ RAGLINE_RATE_LIMITS: 'off' })]);
  });
  after(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    await scene?.drop();
  });

  const start = async (more: Record<string, string>): Promise<Http> => {
    const instance = await startInstance({ ...env, ...more });
    instances.push(instance);
    return httpTo(instance.origin);
  };
  const attempt = (at: Http, { tenant, email }: Person, secret: string, headers: Record<string, string>) =>
    at('POST', '/v1/auth/login', { body: { tenant, email, password: secret }, headers });
  const carla = async () => (await makeTenant(scene, { carla: ['customer'] })).carla;

  it('block an account that failed five times, with the right password too, and say for how long', async () => {
    const at = limited;
    const [person, headers] = [await carla(), someAddress()];
    for (let i = 0; i < 5; i++) assert.equal((await attempt(at, person, 'wrong', headers)).status, 401);
    for (const secret of ['wrong', password]) {
      const answer = await attempt(at, person, secret, headers);
      assert.deepEqual([answer.status, answer.body.code], [429, 'rate_limited']);
      assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    }
    assert.equal((await attempt(at, person, password, someAddress())).status, 200, 'from home it goes on');
  });

  it('count an account that does not exist in the same way', async () => {
    const at = limited;
    const person = { ...(await carla()), email: 'nobody@example.com' };
    const headers = someAddress();
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await attempt(at, person, 'wrong', headers)).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('hold against many attempts at the same moment', async () => {
    const at = limited;
    const [person, headers] = [await carla(), someAddress()];
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => attempt(at, person, 'wrong', headers)),
    );
    const tried = answers.filter(({ status }) => status === 401).length;
    assert.ok(tried >= 5 && tried <= 6, `${tried} attempts were tried`);
  });

  it('do not count who signs in, many times at the same moment and while the hash is renewed', async () => {
    const at = limited;
    const [person, headers] = [await carla(), someAddress()];
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => attempt(at, person, password, headers)),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });

  it('believe the address that a stranger names for himself no more than his own', async () => {
    const at = await start({ TRUSTED_PROXIES: '192.0.2.1' });
    const person = await carla();
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await attempt(at, person, 'wrong', someAddress())).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('are switched off by a setting', async () => {
    const at = unlimited;
    const [person, headers] = [await carla(), someAddress()];
    for (let i = 0; i < 8; i++) assert.equal((await attempt(at, person, 'wrong', headers)).status, 401);
  });

  it('are counted together by two instances that share a Redis', async function () {
    const { redisUrl } = stack();
    if (redisUrl === undefined) return this.skip();
    const [a, b] = await Promise.all([start({ REDIS_URL: redisUrl }), start({ REDIS_URL: redisUrl })]);
    const [person, headers] = [await carla(), someAddress()];
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++)
      statuses.push((await attempt(i % 2 ? a : b, person, 'wrong', headers)).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('hold in each process while Redis is away, which keeps nobody out', async () => {
    const port = 40_000 + (randomBytes(2).readUInt16BE() % 20_000);
    const at = await start({ REDIS_URL: `redis://127.0.0.1:${port}` });
    const [person, headers] = [await carla(), someAddress()];
    assert.equal((await attempt(at, person, password, headers)).status, 200);
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await attempt(at, person, 'wrong', headers)).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('do the same work for who is there and who is not', async () => {
    const at = unlimited;
    const person = await carla();
    // Once, so that the hash has today's cost.
    await attempt(at, person, password, {});
    const costOf = async (whom: Person): Promise<number> => {
      const before = await cpuSeconds(at);
      for (let i = 0; i < 6; i++) await attempt(at, whom, 'wrong-password', {});
      return (await cpuSeconds(at)) - before;
    };
    const known = await costOf(person);
    const unknown = await costOf({ ...person, email: 'nobody@example.com' });
    const nowhere = await costOf({ ...person, tenant: 'no-such-tenant' });
    // CPU of the process and not the clock: a hash is twenty times all the rest, and skipping it would show as that.
    for (const cost of [unknown, nowhere]) {
      assert.ok(cost > known / 3 && cost < known * 3, `${cost} s against ${known} s`);
    }
  });
});

async function cpuSeconds(at: Http): Promise<number> {
  const { text } = await at('GET', '/metrics');
  return Number(/^process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)/m.exec(text)?.[1]);
}
