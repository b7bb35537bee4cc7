import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { networkOf } from './client-network.ts';

describe("a client's network", () => {
  const cases: [string | undefined, string][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
    ['', 'unknown'],
    [undefined, 'unknown'],
    ['192.0.2.7\r\nX: y', 'unknown'],
    ['x'.repeat(10_000), 'unknown'],
  ];
  for (const [address, expected] of cases) {
    it(`${JSON.stringify(address)?.slice(0, 30)} is ${expected}`, () =>
      assert.equal(networkOf(address), expected));
  }
});
