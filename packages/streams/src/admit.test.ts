import assert from 'node:assert/strict';
import { CodecError, type Decoded, SchemaNotCached } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { describe, it } from 'mocha';
import { admit } from './admit.ts';
import { failureOf } from './errors.ts';
import type { ConsumedRecord } from './record.ts';

const order = anOrderEvent();
const good = { id: order.event_id, tenant_id: order.tenant_id, user_id: order.user_id };
const decoded: Decoded = { schema_id: 7, name: 'order_v1', value: order };

const ofOrders = { expected: 'order_v1', needsKey: true } as const;

describe('admitting a record', () => {
  it('gives the event with its envelope', async () => {
    const event = await admit(aRecord(good), decoding(decoded), ofOrders);
    assert.deepEqual(
      [event.event_id, event.event_type, event.tenant_id, event.user_id, event.key, event.schema_id],
      [order.event_id, 'order_created', order.tenant_id, order.user_id, order.order.id, 7],
    );
    assert.ok(event.schema === 'order_v1');
    assert.equal(event.value.order.total, 1_300);
  });

  it('waits only for a schema that is not known yet', async () => {
    assert.ok(!(admit(aRecord(good), decoding(decoded), ofOrders) instanceof Promise));
    const late = { decodeSync: () => fail(new SchemaNotCached(7)), decode: async () => decoded };
    const event = admit(aRecord(good), late, ofOrders);
    assert.ok(event instanceof Promise);
    assert.equal((await event).event_id, order.event_id);
  });

  const refused: [string, string, ConsumedRecord, Decoded][] = [
    ['no value', 'value_null', { ...aRecord(good), value: null }, decoded],
    ['no key', 'key_missing', { ...aRecord(good), key: null }, decoded],
    ['no tenant', 'tenant_missing', aRecord({ id: good.id }), decoded],
    ['an empty tenant', 'tenant_missing', aRecord({ ...good, tenant_id: '' }), decoded],
    ['no event id', 'event_id_missing', aRecord({ tenant_id: good.tenant_id }), decoded],
    ['another tenant than its value', 'tenant_mismatch', aRecord({ ...good, tenant_id: good.id }), decoded],
    ['another id than its value', 'event_id_mismatch', aRecord({ ...good, id: good.tenant_id }), decoded],
    ['a schema of another topic', 'schema_unexpected', aRecord(good), { ...decoded, name: 'catalog_v1' }],
    ['a schema of nobody we know', 'schema_unexpected', aRecord(good), { ...decoded, name: 'constructor' }],
  ];
  for (const [what, code, record, value] of refused) {
    it(`refuses a record with ${what} for good`, () => {
      assert.equal(
        codeOf(() => admit(record, decoding(value), ofOrders)),
        code,
      );
    });
  }

  it('takes a record without a key where no order is kept', async () => {
    const record = { ...aRecord(good), key: null };
    const event = await admit(record, decoding(decoded), { expected: 'order_v1', needsKey: false });
    assert.equal(event.key, null);
  });

  it('refuses bytes that nobody can decode by the codec’s own code', () => {
    const codec = {
      decodeSync: () => fail(new CodecError('not_confluent', 'no wire format')),
      decode: async () => decoded,
    };
    assert.equal(
      codeOf(() => admit(aRecord(good), codec, ofOrders)),
      'not_confluent',
    );
  });
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const failure = failureOf(error);
    return failure.kind === 'permanent' ? failure.code : failure.kind;
  }
  return 'admitted';
}

function fail(error: Error): never {
  throw error;
}

function decoding(value: Decoded) {
  return { decodeSync: () => value, decode: async () => value };
}

function aRecord(headers: Record<string, string>): ConsumedRecord {
  const place = { topic: 'orders.v1', partition: 0, offset: '0' };
  return { ...place, key: Buffer.from(order.order.id), value: Buffer.from('avro'), headers, timestamp: 0 };
}
