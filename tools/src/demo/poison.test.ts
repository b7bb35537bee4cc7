import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { schemaIdOf } from '@ragline/schemas/codec';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { describe, it } from 'mocha';
import { poisonCases } from './poison.ts';

const parts = {
  tenant_id: randomUUIDv7(),
  user_id: randomUUIDv7(),
  encode: (event: OrderEvent) => Buffer.from(JSON.stringify(event)),
  delaysMs: [60_000, 120_000, 240_000, 3_600_000],
  outageS: 20,
};

describe('the records of the demo', () => {
  const cases = poisonCases(parts);
  const caseOf = (name: string) => {
    const found = cases.find((one) => one.name === name);
    assert.ok(found);
    return found;
  };

  it('are about an order each, whose events follow each other under one key', () => {
    const keys = cases.map(({ records }) => new Set(records.map(({ key }) => key)));
    assert.ok(keys.every((own) => own.size === 1));
    assert.equal(new Set(keys.flatMap((own) => [...own])).size, cases.length);
  });

  it('have one that fails, and followers that do not', () => {
    const failpoints = caseOf('always fails').records.map(({ headers }) => headers['x-ragline-failpoint']);
    assert.deepEqual(failpoints, ['fail', undefined, undefined]);
  });

  it('need no failpoint where the bytes are the fault', () => {
    const plain = cases.filter(({ needsFailpoints }) => !needsFailpoints);
    assert.deepEqual(
      plain.map(({ name }) => name),
      ['garbage', 'unknown schema'],
    );
    assert.ok(
      plain.every(({ records }) => records.every(({ headers }) => !('x-ragline-failpoint' in headers))),
    );
    const [unknown] = caseOf('unknown schema').records;
    assert.equal(schemaIdOf(unknown?.value ?? Buffer.alloc(0)), 2_147_483_000);
  });

  it('say when, by the delays of the group', () => {
    assert.match(caseOf('fails, then works').promise, /about 7 min/);
    assert.match(caseOf('always fails').promise, /tried 5 times, a letter about 67 min/);
    const quick = poisonCases({ ...parts, delaysMs: [300, 600, 900, 1_200] });
    assert.match(quick.find(({ name }) => name === 'fails, then works')?.promise ?? '', /about 2 s/);
  });
});
