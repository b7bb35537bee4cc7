import assert from 'node:assert/strict';
import { avroType } from '@ragline/schemas/avro';
import { anOrderEvent } from '@ragline/schemas/samples';
import { schemaTexts } from '@ragline/schemas/types.generated';
import { describe, it } from 'mocha';
import { schemaFrom } from './edit-schema.ts';

const schema = schemaFrom(7, schemaTexts.order_v1)!;
const event = () => JSON.parse(JSON.stringify(anOrderEvent()));

describe("values by the writer's schema", () => {
  it('are encoded with the same schema id', () => {
    const value = event();
    const encoded = schema.encode(value, value);
    assert.ok('bytes' in encoded);
    assert.deepEqual([...encoded.bytes.subarray(0, 5)], [0, 0, 0, 0, 7]);
    const decoded = avroType(schemaTexts.order_v1).fromBuffer(encoded.bytes.subarray(5));
    assert.deepEqual(JSON.parse(JSON.stringify(decoded)), value);
  });

  it('are refused field by field', () => {
    const value = event();
    value.order.total = 'much';
    delete value.order.currency;
    value.occurred_at = 'yesterday';
    value.order.flavour = 1;
    value.order.items[0].quantity = 1.5;
    const encoded = schema.encode(value, event());
    assert.ok('errors' in encoded);
    assert.deepEqual(encoded.errors.map(({ path }) => path).sort(), [
      'value.occurred_at',
      'value.order.currency',
      'value.order.flavour',
      'value.order.items.0.quantity',
      'value.order.total',
    ]);
  });

  it('may bring back what an older writer did not know, as it was shown, and nothing else', () => {
    const old: { fields: { name: string }[] } = JSON.parse(schemaTexts.order_v1);
    const fields = old.fields.filter(({ name }) => name !== 'previous_status');
    const older = schemaFrom(6, JSON.stringify({ ...old, fields }))!;
    const shown = { ...event(), previous_status: null };
    assert.ok('bytes' in older.encode({ ...shown }, shown));
    const changed = older.encode({ ...shown, previous_status: 'ready' }, shown);
    assert.deepEqual('errors' in changed && changed.errors.map(({ path }) => path), [
      'value.previous_status',
    ]);
  });

  for (const [name, value] of [
    ['no object', 5],
    ['null', null],
    ['a list', []],
    ['an empty object', {}],
    ['a prototype', JSON.parse('{"__proto__":{"event_id":"x"}}')],
    ['a constructor', JSON.parse('{"constructor":{"prototype":{"polluted":1}}}')],
    ['a deep one', JSON.parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`)],
  ] as const) {
    it(`are refused when they are ${name}`, () => {
      assert.ok('errors' in schema.encode(value, event()));
    });
  }

  it('have no schema where the text is none', () => {
    assert.equal(schemaFrom(1, '{"type":"nonsense"}'), undefined);
  });
});
