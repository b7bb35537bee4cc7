import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox, type OutboxRow, type OutboxSchema } from '@ragline/postgres/outbox';
import { createPool, inTenant, type Pool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { topics } from '@ragline/schemas/topics';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../tests/support/eventually.ts';
import { stack } from '../tests/support/stack.ts';
import { type RecordTap, startRecordTap } from './record-tap.ts';

describe('from an outbox to Kafka', function () {
  this.timeout(60_000);
  const log = createLogger({ service: 'test', level: 'error' });
  const pools = new Map<OutboxSchema, Pool>();
  let tap: RecordTap;

  before(async () => {
    const parts = stack();
    for (const schema of ['identity', 'orders', 'notifications', 'dead_letters', 'chat'] as const) {
      const options = { applicationName: `test-${schema}`, log, metrics: createMetrics({ service: 'test' }) };
      pools.set(schema, createPool({ url: parts.databaseUrlOf(`ragline_${schema}`), max: 2, ...options }));
    }
    const watched = [
      topics.orders,
      topics.notifications,
      topics.revocations,
      topics.deadLetters,
      topics.chatRequests,
    ].map(({ name }) => name);
    tap = await startRecordTap({ kafka: parts.kafka, topics: watched });
  });
  after(async () => {
    await tap?.stop();
    for (const pool of pools.values()) await pool.end();
  });

  const append = async (schema: OutboxSchema, rows: OutboxRow[]) => {
    const pool = pools.get(schema);
    const tenantId = rows[0]?.tenant_id;
    assert.ok(pool && tenantId);
    await inTenant(pool, tenantId, (client) => appendOutbox(client, schema, rows));
  };

  it('carries the bytes of all outboxes untouched, to the topic named in the row', async () => {
    // Every byte value, and 0 first, as no encoder would make them: nothing on the way may read them.
    const payload = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const cases = [
      ['orders', topics.orders.name],
      ['notifications', topics.notifications.name],
      ['identity', topics.revocations.name],
      ['dead_letters', topics.deadLetters.name],
      ['chat', topics.chatRequests.name],
    ] as const;
    for (const [schema, topic] of cases) {
      const row = aRow({ topic, payload });
      await append(schema, [row]);
      const record = await eventually(() => found(tap, row.id), { withinMs: 30_000 });
      assert.equal(record.topic, topic);
      assert.equal(record.key, row.key);
      assert.deepEqual(record.value, payload);
    }
  });

  it('puts exactly the promised headers on a record, as plain strings', async () => {
    const row = aRow({ user_id: randomUUIDv7() });
    await append('orders', [row]);
    const { headers } = await eventually(() => found(tap, row.id), { withinMs: 30_000 });
    assert.deepEqual(headers, {
      id: row.id,
      event_type: row.event_type,
      tenant_id: row.tenant_id,
      user_id: row.user_id,
      traceparent: row.traceparent,
      'content-type': 'application/avro',
    });
  });

  it("carries an event of 900 KiB, and one that is nobody's alone", async () => {
    const row = aRow({ payload: Buffer.alloc(900 * 1024, 7), user_id: '' });
    await append('orders', [row]);
    const record = await eventually(() => found(tap, row.id), { withinMs: 30_000 });
    assert.equal(record.value?.length, 900 * 1024);
    assert.equal(record.headers.user_id, '');
  });

  it('publishes nothing of a transaction that was rolled back', async () => {
    const undone = aRow();
    const pool = pools.get('orders');
    assert.ok(pool);
    const failing = inTenant(pool, undone.tenant_id, async (client) => {
      await appendOutbox(client, 'orders', [undone]);
      throw new Error('changed my mind');
    });
    await assert.rejects(failing, /changed my mind/);
    // One that comes later is there, so the undone one would have been.
    const later = aRow({ key: undone.key });
    await append('orders', [later]);
    await eventually(() => found(tap, later.id), { withinMs: 30_000 });
    assert.equal(
      tap.records.some(({ headers }) => headers.id === undone.id),
      false,
    );
  });

  it('keeps the order of the rows of a key, each once, across transactions', async () => {
    const first = aRow();
    const rows = Array.from({ length: 40 }, () => aRow({ key: first.key, tenant_id: first.tenant_id }));
    for (let i = 0; i < rows.length; i += 8) await append('orders', rows.slice(i, i + 8));
    const last = rows.at(-1);
    assert.ok(last);
    await eventually(() => found(tap, last.id), { withinMs: 30_000 });
    const arrived = tap.records.filter(({ key }) => key === first.key).map(({ headers }) => headers.id);
    assert.deepEqual(
      arrived,
      rows.map(({ id }) => id),
    );
  });

  it('carries what a codec made to whoever decodes it by the registry', async () => {
    const codec = createCodec({ registryUrl: stack().registryUrl });
    const event = anOrderEvent();
    const row = aRow({
      id: event.event_id,
      tenant_id: event.tenant_id,
      key: event.order.id,
      payload: (await codec.encoder('order_v1'))(event),
    });
    await append('orders', [row]);
    const record = await eventually(() => found(tap, row.id), { withinMs: 30_000 });
    assert.ok(record.value);
    const { name, value } = await codec.decode(record.value);
    assert.deepEqual([name, JSON.parse(JSON.stringify(value))], ['order_v1', event]);
  });
});

function found(tap: RecordTap, id: string) {
  const record = tap.records.find(({ headers }) => headers.id === id);
  if (!record) throw new Error(`no record ${id} yet`);
  return record;
}

/** A row as a service would write it, but whose value nobody should try to read. */
function aRow(changes: Partial<OutboxRow> = {}): OutboxRow {
  return {
    id: randomUUIDv7(),
    topic: topics.orders.name,
    key: randomUUIDv7(),
    event_type: 'order_created',
    tenant_id: randomUUIDv7(),
    user_id: randomUUIDv7(),
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    payload: Buffer.from('not avro'),
    ...changes,
  };
}
