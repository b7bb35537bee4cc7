/** A signing key is in wrong hands: the runbook, on a stack of its own, since everybody's tokens end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, it } from 'mocha';
import pg from 'pg';
import { WebSocket } from 'ws';
import { addressesOf } from '../../infra/local/addresses.ts';
import { service } from '../../infra/local/services.ts';
import { type SupervisedProcess, supervise } from '../../infra/local/supervisor.ts';
import { eventually } from '../support/eventually.ts';
import { type Http, httpTo } from '../support/http.ts';
import { headingsWithCommands, runRunbook, textOf } from '../support/runbook.ts';
import { ownStack } from './own-stack.ts';

/** What docs/operations/key-compromised.md promises. */
const refusedWithinMs = 60_000;

describe('a signing key in wrong hands', function () {
  this.timeout(300_000);
  const stack = ownStack(() => ({ RAGLINE_DEMO_TRAFFIC: '0' }));
  let restarted: SupervisedProcess | undefined;
  after(() => restarted?.stop());
  type Grant = { access_token: string; refresh_token: string };

  const paths = {
    identity: '/v1/auth/me',
    orders: '/v1/orders?limit=1',
    notifications: '/v1/notifications?limit=1',
    'dead-letters': '/v1/dead-letters?limit=1',
    chat: '/v1/conversations?limit=1',
  };

  it('is taken back: its tokens are refused by every service, its sockets are cut, and sessions go on', async () => {
    const { env } = stack();
    const { url, http, services, grant } = await signIn();
    assert.ok(Object.keys(services).length > 6, 'each instance is asked on its own port too');
    assert.deepEqual(await statuses(services, http, grant.access_token), []);
    const closings = [closing(url, '/ws', grant), closing(url, '/ws/chat', grant)];
    await Promise.all(closings.map(({ opened }) => opened));

    const rotated = await runRunbook('key-compromised.md', 'A signing key', env);
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.match(rotated.stdout, / signs /);
    assert.doesNotMatch(rotated.stdout, / verifies /);

    await eventually(
      async () => {
        const accepted = await acceptedBy(services, grant.access_token);
        assert.deepEqual(accepted, []);
      },
      { withinMs: refusedWithinMs, everyMs: 1_000 },
    );
    assert.deepEqual(await Promise.all(closings.map(({ code }) => code)), [4401, 4401]);

    await goesOn(services, http, grant);
  });

  it('goes with the secret that seals it: not while identity runs, and then identity makes new ones by another', async () => {
    const { env, context, instances, process } = stack();
    const { http, services, grant } = await signIn();
    const early = await runRunbook('key-compromised.md', 'The secret that seals keys', env);
    assert.equal(early.code, 1, early.stdout);
    assert.match(early.stderr, /Identity is running/);

    await process('identity-1').stop();
    await eventually(async () => assert.equal(await connectionsOfIdentity(env), 0), { withinMs: 20_000 });
    const forgotten = await runRunbook('key-compromised.md', 'The secret that seals keys', env);
    assert.equal(forgotten.code, 0, forgotten.stderr);
    const meanwhile = await http('GET', paths.orders, { token: grant.access_token });
    assert.equal(meanwhile.status, 200, 'tokens go on working until identity is there again');

    const instance = instances.find(({ name }) => name === 'identity-1') ?? assert.fail();
    const secrets = { ...context.secrets, key_encryption: randomBytes(24).toString('hex') };
    restarted = await supervise(
      service(instance, { ...context, secrets, addresses: addressesOf(context), instances }),
      { dataDir: context.dataDir },
    );
    await eventually(async () => assert.deepEqual(await acceptedBy(services, grant.access_token), []), {
      withinMs: refusedWithinMs,
      everyMs: 1_000,
    });
    await goesOn(services, http, grant);
  });

  it('may be a service’s login: the old password opens nothing more, and who came in by it is cut off', async () => {
    const { env } = stack();
    const old = env.DATABASE_URL_RAGLINE_ORDERS ?? assert.fail();
    const [held, owner] = [new pg.Client(old), new pg.Client(env.DATABASE_URL)];
    const cut = new Promise((resolve) => held.on('error', resolve));
    await Promise.all([held.connect(), owner.connect()]);
    const password = randomBytes(24).toString('hex');
    await owner.query(textOf('key-compromised.md', "A service's login").replace('…', password));
    await owner.end();
    assert.match(String(await cut), /terminat/);
    await assert.rejects(new pg.Client(old).connect(), /password authentication failed/);
    const url = new URL(old);
    url.password = password;
    const renewed = new pg.Client(url.href);
    await renewed.connect();
    await renewed.end();
  });

  it('is all that the runbook has commands for', () => {
    const executed = ['A signing key', 'The secret that seals keys'];
    assert.deepEqual(headingsWithCommands('key-compromised.md'), executed);
  });

  async function signIn() {
    const { env } = stack();
    const url = env.RAGLINE_URL ?? '';
    const http = httpTo(url);
    const body = { tenant: 'demo', email: 'admin@demo.example', password: env.RAGLINE_DEMO_PASSWORD };
    const grant: Grant = (await http('POST', '/v1/auth/login', { body })).body;
    return { url, http, grant, services: { gateway: url, ...serviceUrls(env) } };
  }

  /** The session survives its tokens: refresh tokens are not signed. */
  async function goesOn(
    services: Record<string, string>,
    http: Http,
    { refresh_token }: Grant,
  ): Promise<void> {
    const refreshed = await http<Grant>('POST', '/v1/auth/refresh', { body: { refresh_token } });
    assert.equal(refreshed.status, 200, refreshed.text);
    assert.deepEqual(await statuses(services, http, refreshed.body.access_token), []);
  }

  async function connectionsOfIdentity(env: Record<string, string>): Promise<number> {
    const db = new pg.Client({ connectionString: env.DATABASE_URL });
    await db.connect();
    const { rows } = await db.query(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'ragline_identity'",
    );
    await db.end();
    return rows[0].count;
  }

  function serviceUrls(env: Record<string, string>): Record<string, string> {
    return Object.fromEntries(Object.entries(env).filter(([name]) => /^URL_(?!GATEWAY)/.test(name)));
  }

  /** Which paths of which origin a token opens. */
  async function acceptedBy(origins: Record<string, string>, token: string): Promise<string[]> {
    const accepted: string[] = [];
    for (const [name, origin] of Object.entries(origins)) {
      for (const [service, path] of Object.entries(paths)) {
        if (name !== 'gateway' && !name.startsWith(`URL_${service.toUpperCase().replace('-', '_')}_`))
          continue;
        const { status } = await httpTo(origin)('GET', path, { token });
        if (status !== 401) accepted.push(`${name} ${path}: ${status}`);
      }
    }
    return accepted;
  }

  /** Paths that a good token does not open: none. */
  async function statuses(origins: Record<string, string>, http: Http, token: string): Promise<string[]> {
    assert.equal((await http('GET', paths.identity, { token })).status, 200);
    const accepted = await acceptedBy(origins, token);
    return accepted.filter((line) => !line.endsWith(': 200'));
  }

  function closing(url: string, path: string, { access_token }: Grant) {
    const socket = new WebSocket(new URL(path, url.replace(/^http/, 'ws')), {
      headers: { authorization: `Bearer ${access_token}` },
    });
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
    socket.once('message', () => resolve());
    socket.once('error', reject);
    const code = new Promise<number>((done) => socket.once('close', done));
    return { opened, code };
  }
});
