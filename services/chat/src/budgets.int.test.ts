import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { Problem } from '@ragline/web/problems';
import { after, before, describe, it } from 'mocha';
import { createBudgets, pruneBudgets } from './budgets.ts';

describe('budgets', function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let pool: Pool;

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_chat', 12, database.name);
  });
  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  const limits = { tenantTokens: 10_000, userTokens: 1_000 };
  const aUser = (tenant_id = randomUUIDv7()) => ({ tenant_id, user_id: randomUUIDv7() });
  const used = (tokens: number) => ({ input_tokens: tokens - 1, output_tokens: 1 });
  type User = ReturnType<typeof aUser>;

  function deskOf(now?: () => Date, of = limits) {
    const budgets = createBudgets(of, now);
    return {
      async hold(user: User, tokens: number, id = randomUUIDv7()) {
        await inTenant(pool, user.tenant_id, (client) => budgets.hold(client, user, id, tokens));
        return { ...user, id };
      },
      spend: (held: User & { id: string }, tokens: number) =>
        inTenant(pool, held.tenant_id, (client) => budgets.spend(client, held, used(tokens))),
    };
  }

  const isExhausted = (error: unknown) => error instanceof Problem && error.code === 'budget_exhausted';

  it('let a user ask until his day is used up, and again on the next one', async () => {
    const user = aUser();
    const evening = new Date('2026-03-01T23:59:30Z');
    const today = deskOf(() => evening);
    await today.spend(await today.hold(user, 400), 999);
    await today.spend(await today.hold(user, 400), 1);
    await assert.rejects(today.hold(user, 1), (error: unknown) => {
      assert.ok(error instanceof Problem && isExhausted(error));
      assert.equal(error.headers['retry-after'], '30');
      return true;
    });
    await deskOf(() => new Date('2026-03-02T00:00:01Z')).hold(user, 400);
  });

  it('are not passed by many who ask at the same moment', async () => {
    const user = aUser();
    const desk = deskOf();
    await desk.spend(await desk.hold(user, 1), 850);
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => desk.hold(user, 100)));
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 2);
    for (const it of asked) if (it.status === 'rejected') assert.ok(isExhausted(it.reason));
  });

  it('are not passed by many large ones at the same moment, with nothing used yet', async () => {
    const user = aUser();
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => deskOf().hold(user, 800)));
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 2);
  });

  it('count what each of many has used', async () => {
    const user = aUser();
    const desk = deskOf(undefined, { tenantTokens: 0, userTokens: 1_000_000 });
    const held = await Promise.all(Array.from({ length: 20 }, () => desk.hold(user, 100)));
    await Promise.all(held.map((it) => desk.spend(it, 50)));
    const { rows } = await inTenant(pool, user.tenant_id, (client) =>
      client.query('SELECT (input_tokens + output_tokens)::int AS tokens FROM chat.token_budget'),
    );
    assert.deepEqual(rows, [{ tokens: 1_000 }]);
    const { rowCount } = await inTenant(pool, user.tenant_id, (client) =>
      client.query('SELECT FROM chat.token_hold'),
    );
    assert.equal(rowCount, 0);
  });

  it('of a tenant are shared by its users, and by nobody else', async () => {
    const tenant = randomUUIDv7();
    const desk = deskOf(undefined, { tenantTokens: 1_000, userTokens: 0 });
    await desk.spend(await desk.hold(aUser(tenant), 100), 600);
    await desk.spend(await desk.hold(aUser(tenant), 100), 400);
    await assert.rejects(desk.hold(aUser(tenant), 100), isExhausted);
    await desk.hold(aUser(), 100);
  });

  it('leave nothing held when the question itself comes to nothing', async () => {
    const user = aUser();
    const budgets = createBudgets(limits);
    const refused = inTenant(pool, user.tenant_id, async (client) => {
      await budgets.hold(client, user, randomUUIDv7());
      throw new Error('not asked after all');
    });
    await assert.rejects(refused);
    await deskOf().hold(user, 1_000);
  });

  it('forget what is long over', async () => {
    const user = aUser();
    const old = deskOf(() => new Date('2020-01-01T00:00:00Z'));
    await old.spend(await old.hold(user, 10), 10);
    await pruneBudgets(pool);
    const { rowCount } = await inTenant(pool, user.tenant_id, (client) =>
      client.query('SELECT FROM chat.token_budget'),
    );
    assert.equal(rowCount, 0);
  });
});
