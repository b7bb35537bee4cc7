import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { before, describe, it } from 'mocha';
import { signIn } from '../faults/session.ts';
import { httpTo } from '../support/http.ts';
import { pythonPackages } from '../support/python.ts';

const run = promisify(execFile);
const reader = new URL('./foreign-client/read_order.py', import.meta.url).pathname;

describe('a foreign client that knows only what is published', function () {
  this.timeout(120_000);
  let packages: string;
  before(async () => {
    packages = await pythonPackages(['confluent-kafka[avro,schemaregistry]==2.12.1']);
  });

  it("reads an order's event from orders.v1 with Python, its schema from the registry", async () => {
    const url = setting('RAGLINE_URL');
    const customer = await signIn(url, 'demo', 'customer@demo.example', setting('RAGLINE_DEMO_PASSWORD'));
    const order = await placeOrder(url, await customer.token());
    const { stdout } = await run('python3', [reader], {
      env: { ...process.env, PYTHONPATH: packages, ORDER_ID: order.id, WITHIN_S: '60' },
    });
    const record = JSON.parse(stdout);
    assert.equal(record.key, order.id);
    assert.equal(record.value.event_type, 'order_created');
    assert.equal(record.value.order.total, order.total);
    assert.equal(record.value.tenant_id, customer.tenantId);
    assert.equal('notes' in record.value.order, false, 'events carry no text that a customer wrote');
    assert.deepEqual(
      { ...record.headers, traceparent: undefined },
      {
        id: record.value.event_id,
        event_type: 'order_created',
        tenant_id: customer.tenantId,
        user_id: customer.userId,
        'content-type': 'application/avro',
        traceparent: undefined,
      },
    );
    assert.match(record.headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    assert.ok(record.schema_subjects.includes('orders.v1-value'));
  });
});

async function placeOrder(url: string, token: string): Promise<{ id: string; total: number }> {
  const http = httpTo(url);
  const products = await http('GET', '/v1/products?available=true&limit=1', { token });
  const items = [{ product_id: products.body.data[0].id, quantity: 2, notes: 'by the door' }];
  const headers = { 'idempotency-key': randomUUID() };
  const answer = await http('POST', '/v1/orders', { token, headers, body: { items } });
  assert.equal(answer.status, 201, answer.text);
  return answer.body;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through npm test`);
  return value;
}
