import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'mocha';
import {
  applyConnector,
  connectorConfig,
  connectorName,
  connectorStatus,
  restartFailed,
} from './apply-connector.ts';

const cdcUrl = 'postgres://ragline_cdc:s%40fe@db.example:5444/shop?sslmode=require';

describe('the connector of the outboxes', () => {
  let connect: ConnectFake;
  beforeEach(async () => {
    connect = await startConnectFake();
  });
  afterEach(() => connect.stop());

  it('gets address and login from the connection string of its role', async () => {
    const config = await connectorConfig(cdcUrl);
    assert.equal(config['database.hostname'], 'db.example');
    assert.equal(config['database.port'], '5444');
    assert.equal(config['database.password'], 's@fe');
    assert.equal(config['database.dbname'], 'shop');
    assert.equal(config['database.sslmode'], 'require');
    assert.equal(config['transaction.boundary'], 'poll');
  });

  it('is made, then left alone: applying again sends nothing', async () => {
    assert.equal((await applyConnector({ connectUrl: connect.url, cdcUrl })).outcome, 'created');
    assert.equal((await applyConnector({ connectUrl: connect.url, cdcUrl })).outcome, 'current');
    assert.equal(connect.puts(), 1);
  });

  it('is asked for again while the workers rebalance', async () => {
    connect.refuse(2, 409);
    await applyConnector({ connectUrl: connect.url, cdcUrl });
    assert.equal(connect.puts(), 3);
  });

  it('fails with what its task says, not by waiting', async () => {
    connect.say('RUNNING', 'FAILED');
    await assert.rejects(applyConnector({ connectUrl: connect.url, cdcUrl }), /failed: boom/);
    const { state, error } = await connectorStatus({ connectUrl: connect.url });
    assert.deepEqual([state, error], ['FAILED', 'boom']);
  });

  it('is restarted when it has failed, and only then', async () => {
    await applyConnector({ connectUrl: connect.url, cdcUrl });
    assert.equal(await restartFailed({ connectUrl: connect.url }), false);
    connect.say('RUNNING', 'FAILED');
    assert.equal(await restartFailed({ connectUrl: connect.url }), true);
    assert.deepEqual(connect.restarts(), ['?includeTasks=true&onlyFailed=true']);
  });

  it('stays paused when somebody paused it, and says at once what to do; a start resumes it', async () => {
    connect.say('PAUSED', 'PAUSED');
    await assert.rejects(applyConnector({ connectUrl: connect.url, cdcUrl }), /connectors resume/);
    await applyConnector({ connectUrl: connect.url, cdcUrl, resume: true });
    const { state } = await connectorStatus({ connectUrl: connect.url });
    assert.equal(state, 'RUNNING');
  });

  it('is told from one that is not there', async () => {
    assert.equal((await connectorStatus({ connectUrl: connect.url })).state, 'MISSING');
  });

  it('says who refused when Connect wants a login', async () => {
    connect.refuse(1, 401);
    await assert.rejects(applyConnector({ connectUrl: connect.url, cdcUrl }), /Connect answered 401/);
  });
});

type ConnectFake = Awaited<ReturnType<typeof startConnectFake>>;

/** Connect's REST interface for one connector, as far as it is used. */
async function startConnectFake() {
  let config: string | undefined;
  let states = { connector: 'RUNNING', task: 'RUNNING' };
  let refusing = { times: 0, status: 409 };
  let puts = 0;
  const restarts: string[] = [];
  const server: Server = createServer(async (req, res) => {
    const reply = (status: number, body: unknown) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(JSON.stringify(body));
    };
    const { pathname, search } = new URL(req.url ?? '', 'http://connect');
    let body = '';
    for await (const chunk of req) body += chunk;
    if (req.method === 'PUT') {
      puts += 1;
      if (refusing.times > 0) {
        refusing.times -= 1;
        return reply(refusing.status, { message: 'not now' });
      }
      if (pathname.endsWith('/resume')) states = { connector: 'RUNNING', task: 'RUNNING' };
      else config = body;
      return reply(200, {});
    }
    if (req.method === 'POST') {
      restarts.push(search);
      return reply(202, {});
    }
    if (config === undefined) return reply(404, { message: 'none' });
    if (pathname.endsWith('/config')) return reply(200, JSON.parse(config));
    const task = {
      id: 0,
      worker_id: 'w',
      state: states.task,
      ...(states.task === 'FAILED' && { trace: 'boom\n\tat x' }),
    };
    return reply(200, { name: connectorName, connector: { state: states.connector }, tasks: [task] });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://user:secret@127.0.0.1:${port}`,
    puts: () => puts,
    restarts: () => restarts,
    refuse: (times: number, status: number) => {
      refusing = { times, status };
    },
    say: (connector: string, task: string) => {
      states = { connector, task };
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
