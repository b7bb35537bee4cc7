import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { newClusterId } from './kafka.ts';

describe("a Kafka cluster's id", () => {
  it('never begins with a dash, which the tool that formats the storage would take for an option', () => {
    const drawn = [Buffer.alloc(16, 0xf8), Buffer.alloc(16, 0xfb), Buffer.alloc(16, 1)];
    assert.match(drawn[0]?.toString('base64url') ?? '', /^-/);
    assert.equal(
      newClusterId(() => drawn.shift() ?? Buffer.alloc(16)),
      'AQEBAQEBAQEBAQEBAQEBAQ',
    );
  });
});
