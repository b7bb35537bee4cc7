import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { formatTraceparent, newTraceContext, parseTraceparent } from './traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

describe('traceparent', () => {
  it('is read and written', () => {
    const header = `00-${traceId}-${spanId}-01`;
    const found = parseTraceparent(header);
    assert.deepEqual(found, { traceId, spanId, traceFlags: 1 });
    assert.equal(found && formatTraceparent(found), header);
  });

  it('of a later version is read as far as it is known', () => {
    assert.deepEqual(parseTraceparent(`01-${traceId}-${spanId}-03-more`), { traceId, spanId, traceFlags: 1 });
  });

  for (const header of [
    undefined,
    '',
    'nonsense',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
  ]) {
    it(`ignores ${JSON.stringify(header) ?? 'a missing one'}`, () => {
      assert.equal(parseTraceparent(header), undefined);
    });
  }

  it('goes on in the trace of its parent with a span of its own', () => {
    const child = newTraceContext({ traceId, spanId, traceFlags: 1 });
    assert.equal(child.traceId, traceId);
    assert.notEqual(child.spanId, spanId);
    assert.equal(child.traceFlags, 1);
  });

  it('makes valid ids, no two alike', () => {
    const made = Array.from({ length: 2_000 }, () => newTraceContext(undefined));
    assert.equal(new Set(made.map((one) => one.traceId)).size, 2_000);
    assert.ok(made.every((one) => parseTraceparent(formatTraceparent(one))));
  });
});
