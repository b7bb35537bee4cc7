import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import {
  aConversation,
  type Conversation,
  callerIn,
  type Desk,
  openDesk,
} from '../../services/chat/src/tools/tools.support.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  startInstance,
  type Tokens,
} from '../../services/orders/src/orders.support.ts';
import { stack } from '../support/stack.ts';
import { startTokens } from '../support/tokens.ts';
import type { Errand } from './chat-order-process.ts';

const worker = path.join(import.meta.dirname, 'chat-order-process.ts');

describe('an approved order at the real orders service', function () {
  this.timeout(60_000);
  let pool: Pool;
  let tokens: Tokens;
  let orders: Instance;
  let identity: Awaited<ReturnType<typeof startIdentity>>;
  let desk: Desk;
  const children = new Set<ChildProcess>();

  before(async () => {
    pool = poolOf('ragline_chat', 2);
    tokens = await startTokens();
    orders = await startInstance({ tokens });
    identity = await startIdentity(tokens);
    desk = await openDesk({ pool, real: { orders: orders.origin, identity: identity.url } });
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await desk?.stop();
    await identity?.stop();
    await orders?.stop();
    await tokens?.stop();
    await pool?.end();
  });

  it('is placed once, though its worker is killed at five places one after the other', async () => {
    const { mine, customer, approval_id } = await anApproval();
    const caller = { ...mine, turn_id: randomUUIDv7() };
    for (const [at, dieAt] of [
      'claim.committed',
      'order.answered',
      'settle.settled',
      'settle.commit',
    ].entries()) {
      assert.equal(await run(approval_id, { ...caller, generation: at + 1 }, dieAt), 'SIGKILL');
    }
    // The last one dies with everything done; who comes after it finds that.
    assert.equal(await run(approval_id, { ...caller, generation: 5 }, 'settle.committed'), 'SIGKILL');
    const result = await desk.execute(approval_id, callerIn(mine, { ...caller, generation: 6 }));
    assert.equal(result.kind, 'ordered');
    assert.deepEqual(await placedBy(customer), [result.order.id]);
  });

  it('is placed once by three processes at the same time', async () => {
    const { mine, customer, approval_id } = await anApproval();
    const caller = { ...mine, turn_id: randomUUIDv7() };
    await Promise.all([1, 2, 3].map((generation) => run(approval_id, { ...caller, generation }, null)));
    const result = await desk.execute(approval_id, callerIn(mine, { ...caller, generation: 4 }));
    assert.equal(result.kind, 'ordered');
    assert.deepEqual(await placedBy(customer), [result.order.id]);
  });

  it('of a price that has changed is asked for again, at the new one', async () => {
    const { mine, customer, approval_id, product, staff } = await anApproval();
    await staff.patch(`/v1/products/${product.id}`, { price: 1_200 });
    const refused = await desk.execute(approval_id, callerIn(mine));
    assert.ok(refused.kind === 'refused' && refused.approval);
    assert.deepEqual([refused.code, refused.approval.quote.total], ['price_changed', 2_400]);
    assert.deepEqual(await placedBy(customer), []);
    await desk.decide(mine, refused.approval.approval_id);
    const result = await desk.execute(refused.approval.approval_id, callerIn(mine));
    assert.ok(result.kind === 'ordered' && result.order.total === 2_400);
    assert.deepEqual(await placedBy(customer), [result.order.id]);
  });

  it('has the best promotion that runs, as the orders service prices it', async () => {
    const { mine, staff, product } = await anApproval();
    const code = `B-${randomUUIDv7().slice(-8)}`.toUpperCase();
    await staff.post('/v1/promotions', { code, kind: 'percent', value: 30 });
    await staff.post('/v1/promotions', { code: `${code}-2`, kind: 'percent', value: 90, minimum: 100_000 });
    const args = JSON.stringify({ items: [{ product_id: product.id, quantity: 2 }] });
    const outcome = await desk.registry.call(
      { id: '1', name: 'apply_promos', arguments: args },
      callerIn(mine),
    );
    const { applied, quote, refused } = JSON.parse(outcome.content);
    assert.deepEqual([applied, quote.total], [code, 1_330]);
    assert.deepEqual(refused, [{ code: `${code}-2`, reason: 'minimum_not_met' }]);
  });

  /** A customer of a new tenant who has approved two of a dish at 950. */
  async function anApproval() {
    const mine = await aConversation(pool);
    const staff = await makeCaller(tokens, orders, { tenant_id: mine.tenant_id, roles: ['staff'] });
    const customer = await makeCaller(tokens, orders, mine);
    const product = await makeProduct(staff, { price: 950 });
    const args = JSON.stringify({ items: [{ product_id: product.id, quantity: 2 }] });
    const outcome = await desk.registry.call({ id: '1', name: 'confirm', arguments: args }, callerIn(mine));
    assert.ok(outcome.ok && outcome.approval, outcome.content);
    const { approval_id } = outcome.approval;
    await desk.decide(mine, approval_id);
    return { mine, staff, customer, product, approval_id };
  }

  /** How the worker ended: by which signal, or with which code. */
  async function run(approval_id: string, caller: Errand['caller'], dieAt: string | null) {
    const errand: Errand = {
      databaseUrl: stack().databaseUrlOf('ragline_chat'),
      ordersUrl: orders.origin,
      identityUrl: identity.url,
      approval_id,
      caller,
      dieAt,
    };
    const child = fork(worker, [JSON.stringify(errand)], { stdio: 'ignore' });
    children.add(child);
    const [code, signal] = await once(child, 'exit');
    children.delete(child);
    return signal ?? code;
  }

  const placedBy = async (customer: Caller): Promise<string[]> => {
    const { body } = await customer.get('/v1/orders');
    return body.data.map(({ id }: { id: string }) => id);
  };
});

/** Makes tokens of whoever it is asked for, as identity does for the chat service. */
async function startIdentity(tokens: Tokens) {
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += String(part);
    const { tenant_id, user_id }: Pick<Conversation, 'tenant_id' | 'user_id'> = JSON.parse(body);
    const access_token = await tokens.token({ tenant_id, user_id, roles: ['customer'] });
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ access_token, expires_in: 60 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
