import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { Webhook } from 'standardwebhooks';
import { type AlertRule, eachGroup } from './alert-rules.ts';
import { alertStore } from './alert-store.ts';
import { createWatch } from './alert-watch.ts';
import { inScope, system } from './scope.ts';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const log = { debug() {}, info() {}, warn() {}, error() {} };

describe('alerts about dead letters', function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let pool: Pool;
  let owner: Pool;
  let receiver: Receiver;

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_dead_letters', 6, database.name);
    const metrics = createMetrics({ service: 'test' });
    owner = createPool({ url: database.url, max: 2, applicationName: 'test-owner', log, metrics });
  });
  after(async () => {
    await pool?.end();
    await owner?.end();
    await database?.drop();
  });
  beforeEach(async () => {
    receiver = await startReceiver();
    await owner.query(
      'TRUNCATE dead_letters.alert, dead_letters.alert_rule, dead_letters.alert_delivery CASCADE',
    );
  });
  afterEach(() => receiver.stop());

  it('tells once of a volume that passes its threshold, and once when it is well below it again', async () => {
    const group = aGroup();
    const { watch, announced } = await aWatch([volumeOf(group)]);
    await keep(group, 2);
    assert.deepEqual(await watch.round(), []);
    await keep(group, 1);
    await watch.round();
    await watch.round();
    await setState(group, 'waiting', 'resolved', 1);
    await watch.round();
    assert.deepEqual(announced, ['alert_raised'], 'between the thresholds nothing changes');
    await setState(group, 'waiting', 'resolved', 1);
    await watch.round();
    await sendAll(watch);
    assert.deepEqual(announced, ['alert_raised', 'alert_cleared']);
    assert.deepEqual(
      receiver.messages.map(({ type, data }) => [type, data.group, data.kind, data.value, data.threshold]),
      [
        ['alert_raised', group, 'volume', 3, 3],
        ['alert_cleared', group, 'volume', 1, 3],
      ],
    );
  });

  it('measures the age of the oldest letter that waits, and how many fail', async () => {
    const group = aGroup();
    const rules = [
      { ...volumeOf(eachGroup), kind: 'oldest_age' as const, raise_at: 3_600, clear_below: 60 },
      { ...volumeOf(group), kind: 'failure_rate' as const, raise_at: 0.5, clear_below: 0.1 },
    ];
    const { watch } = await aWatch(rules);
    await keep(group, 5, new Date(Date.now() - 7_200_000));
    const raised = (await watch.round()).filter(({ alert }) => alert.group === group);
    assert.deepEqual(raised.map(({ alert }) => alert.kind).sort(), ['failure_rate', 'oldest_age']);
    const age = raised.find(({ alert }) => alert.kind === 'oldest_age')?.alert.value ?? 0;
    assert.ok(age >= 7_199 && age < 7_300, String(age));
  });

  it('counts all groups together where the rule says so', async () => {
    const [one, other] = [aGroup(), aGroup()];
    await keep(one, 1);
    await keep(other, 1);
    const { rows } = await owner.query<{ letters: number }>(
      "SELECT count(*) AS letters FROM dead_letters.letter WHERE state = 'waiting'",
    );
    const inAll = rows[0]?.letters ?? 0;
    const { watch } = await aWatch([{ ...volumeOf(null), raise_at: inAll, clear_below: 1 }]);
    const [raised] = await watch.round();
    assert.deepEqual([raised?.alert.group, raised?.alert.value], [null, inAll]);
  });

  it('lets one instance decide at a time', async () => {
    const group = aGroup();
    const watches = await Promise.all([1, 2, 3, 4].map(() => aWatch([volumeOf(group)])));
    await keep(group, 3);
    const rounds = await Promise.all(watches.map(({ watch }) => watch.round()));
    const announced = watches.flatMap((one) => one.announced);
    assert.equal(rounds.flat().length, 1);
    assert.deepEqual(announced, ['alert_raised']);
  });

  it('sends again what was not taken, one message after another, with the same id', async () => {
    const group = aGroup();
    const { watch } = await aWatch([volumeOf(group)]);
    receiver.answerWith(500);
    await keep(group, 3);
    await watch.round();
    assert.equal(await watch.send(), 1);
    await setState(group, 'waiting', 'discarded', 3);
    await watch.round();
    assert.equal(await watch.send(), 0, 'the end is not told before the beginning');
    receiver.answerWith(204);
    await becomesDue();
    await sendAll(watch);
    const [refused, first, second] = receiver.messages;
    assert.equal(first?.id, refused?.id);
    assert.deepEqual([first?.type, second?.type], ['alert_raised', 'alert_cleared']);
  });

  it('loses no message of a process that was killed while it sent', async () => {
    const group = aGroup();
    const { watch } = await aWatch([volumeOf(group)]);
    await keep(group, 3);
    await watch.round();
    // As a process leaves it that has claimed the message and is no more.
    await owner.query(
      "UPDATE dead_letters.alert_delivery SET attempts = 1, next_at = clock_timestamp() + interval '30 s'",
    );
    const { watch: another } = await aWatch(undefined);
    assert.equal(await another.send(), 0);
    await becomesDue();
    assert.equal(await another.send(), 1);
    assert.equal(receiver.messages.length, 1);
  });

  it('follows no redirect', async () => {
    const group = aGroup();
    const { watch } = await aWatch([volumeOf(group)]);
    receiver.answerWith(307);
    await keep(group, 3);
    await watch.round();
    await watch.send();
    assert.equal(receiver.requests(), 1);
    const { rows } = await owner.query('SELECT error, finished_at FROM dead_letters.alert_delivery');
    assert.deepEqual(rows, [{ error: 'answered 307', finished_at: null }]);
  });

  it('tells of a silenced alert when the silence is over, if it is still raised', async () => {
    const group = aGroup();
    const { watch } = await aWatch([{ ...volumeOf(group), raise_after_s: 0 }]);
    await keep(group, 3);
    await watch.round();
    await sendAll(watch);
    await setState(group, 'waiting', 'discarded', 3);
    await watch.round();
    await sendAll(watch);
    const before = receiver.messages.length;
    await owner.query("UPDATE dead_letters.alert SET silenced_until = clock_timestamp() + interval '1 hour'");
    await keep(group, 3);
    assert.equal((await watch.round()).length, 1, 'a silent alert is raised all the same');
    await sendAll(watch);
    assert.equal(receiver.messages.length, before, 'the silence is handed on to the next alert');
    await owner.query('UPDATE dead_letters.alert SET silenced_until = NULL');
    await watch.round();
    await sendAll(watch);
    assert.equal(receiver.messages.at(-1)?.type, 'alert_raised');
    assert.equal(receiver.messages.length, before + 1);
  });

  it('clears what a rule raised that is taken away', async () => {
    const group = aGroup();
    const { watch } = await aWatch([volumeOf(group)]);
    await keep(group, 3);
    await watch.round();
    await setRules([]);
    const changes = await watch.round();
    assert.deepEqual(
      changes.map(({ event_type }) => event_type),
      ['alert_cleared'],
    );
  });

  it("keeps a tenant's rules to the tenant's own letters, and from the operator's pager", async () => {
    const group = aGroup();
    const [tenant, other] = [randomUUIDv7(), randomUUIDv7()];
    const { watch } = await aWatch([]);
    await setRules([volumeOf(group)], tenant);
    await keep(group, 2, new Date(), tenant);
    await keep(group, 2, new Date(), other);
    assert.deepEqual(await watch.round(), []);
    await keep(group, 1, new Date(), tenant);
    const [raised] = await watch.round();
    assert.deepEqual([raised?.alert.tenant_id, raised?.alert.value], [tenant, 3]);
    await sendAll(watch);
    assert.equal(receiver.requests(), 0, "no tenant wakes the operator's pager");
  });

  async function aWatch(rules: AlertRule[] | undefined) {
    if (rules !== undefined) await setRules(rules);
    const announced: string[] = [];
    const watch = createWatch({
      pool,
      target: { url: receiver.url, secret },
      encoder: async () => (event) => {
        announced.push(event.event_type);
        return Buffer.from(JSON.stringify(event));
      },
      log,
      metrics: createMetrics({ service: 'test' }),
    });
    return { watch, announced };
  }

  async function setRules(rules: AlertRule[], tenantId: string | null = null): Promise<void> {
    await inScope(pool, system, (client) => alertStore().setRules(client, tenantId, rules));
  }

  async function becomesDue(): Promise<void> {
    await owner.query('UPDATE dead_letters.alert_delivery SET next_at = clock_timestamp()');
  }

  async function sendAll(watch: { send(): Promise<number> }): Promise<void> {
    while ((await watch.send()) > 0);
  }

  async function keep(
    group: string,
    count: number,
    at = new Date(),
    tenant: string | null = null,
  ): Promise<void> {
    await owner.query(
      `INSERT INTO dead_letters.letter (id, state, group_id, topic, partition, "offset", tenant_id, headers, source, dlq_topic,
         dlq_partition, dlq_offset, fingerprint, fingerprint_parts, attempts, first_failed_at, failed_at, kept_at, updated_at)
       SELECT uuidv7($3::timestamptz - clock_timestamp()), 'waiting', $1, 'test', 0, floor(random() * 1e15)::bigint, $4, '{}',
              'ragline', 'test.dlq', 0, 0, 'f', '{}', 1, $3, $3, $3, $3
         FROM generate_series(1, $2)`,
      [group, count, at, tenant],
    );
  }

  async function setState(group: string, from: string, to: string, count: number): Promise<void> {
    await owner.query(
      `UPDATE dead_letters.letter SET state = $3 WHERE id = ANY (ARRAY(
         SELECT id FROM dead_letters.letter WHERE group_id = $1 AND state = $2 LIMIT $4))`,
      [group, from, to, count],
    );
  }
});

const aGroup = () => `test-${randomUUIDv7().slice(-12)}`;

/** Raised at 3 letters and cleared below 2, at once. */
function volumeOf(group: string | null): AlertRule {
  return { kind: 'volume', group, raise_at: 3, clear_below: 2, raise_after_s: 0, clear_after_s: 0 };
}

type Message = { id: string; type: string; data: Record<string, unknown> };
type Receiver = Awaited<ReturnType<typeof startReceiver>>;

/** Takes messages as a pager would: what is not signed as it should be is refused, and is no message. */
async function startReceiver() {
  const messages: Message[] = [];
  let status = 204;
  let requests = 0;
  const webhook = new Webhook(secret);
  const server = http.createServer(async (req, res) => {
    requests += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const headers = Object.fromEntries(
      Object.entries(req.headers).map(([name, value]) => [name, String(value)]),
    );
    try {
      const body = webhook.verify(Buffer.concat(chunks), headers) as Omit<Message, 'id'>;
      messages.push({ ...body, id: headers['webhook-id'] ?? '' });
      res.writeHead(status, { location: '/elsewhere' }).end();
    } catch {
      res.writeHead(401).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    messages,
    requests: () => requests,
    answerWith(code: number): void {
      status = code;
    },
    stop: (): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
