import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isAllowed, targetOf } from './addresses.ts';

const strict = { allowLoopback: false };
const local = { allowLoopback: true };

describe('addresses that webhooks may be sent to', () => {
  const everyone = [
    '1.1.1.1',
    '93.184.215.14',
    '172.15.255.255',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ];
  const nobody = [
    ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1'],
    ...['169.254.169.254', '100.64.0.1', '100.127.255.255', '0.0.0.0', '0.1.2.3', '255.255.255.255'],
    ...['224.0.0.1', '239.1.1.1', '240.0.0.1', '192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1'],
    ...[
      '203.0.113.1',
      '192.88.99.1',
      '168.63.129.16',
      '::',
      '::1',
      '::ffff:8.8.8.8',
      '::ffff:127.0.0.1',
      '::127.0.0.1',
    ],
    ...['64:ff9b::808:808', '64:ff9b:1::1', '2002:808:808::1', '2001::1', '2001:db8::1', '3fff::1'],
    ...['fe80::1', 'fe80::1%eth0', 'fec0::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '100::1', '5f00::1'],
    ...['', 'localhost', '127.1', '8.8.8.8 ', '8.8.8.8/8'],
  ];
  for (const address of everyone) {
    it(`are ${address} and its like`, () => assert.equal(isAllowed(address, strict), true));
  }
  for (const address of nobody) {
    it(`are not ${JSON.stringify(address)}`, () => assert.equal(isAllowed(address, strict), false));
  }
  it('are those of this machine where that is allowed, and still no private ones', () => {
    for (const address of ['127.0.0.1', '::1']) assert.equal(isAllowed(address, local), true);
    for (const address of ['10.0.0.1', '169.254.169.254', '::ffff:127.0.0.1'])
      assert.equal(isAllowed(address, local), false);
  });
});

describe('URLs of webhooks', () => {
  const hostOf = (url: string, rules = strict) => {
    const target = targetOf(url, rules);
    return typeof target === 'string' ? target : target.host;
  };

  it('are https on the usual port or a free one', () => {
    for (const url of ['https://a.example', 'https://a.example:443/x?y', 'https://a.example:8443/'])
      assert.equal(hostOf(url), 'a.example');
    for (const port of [1, 22, 25, 80, 1023])
      assert.equal(hostOf(`https://a.example:${port}/`), 'port_not_allowed');
  });
  it('may be http to this machine alone, where that is allowed', () => {
    assert.equal(hostOf('http://127.0.0.1:9/', local), '127.0.0.1');
    assert.equal(hostOf('http://localhost:9/', local), 'localhost');
    assert.equal(hostOf('http://a.example/', local), 'scheme_not_allowed');
    assert.equal(hostOf('http://127.0.0.1:9/'), 'scheme_not_allowed');
  });
  it('carry no login and no fragment', () => {
    assert.equal(hostOf('https://me@a.example/'), 'credentials_in_url');
    assert.equal(hostOf('https://:pw@a.example/'), 'credentials_in_url');
    assert.equal(hostOf('https://a.example/#x'), 'fragment_in_url');
  });
  it('of other kinds are none', () => {
    for (const url of ['ftp://a.example/', 'file:///x', 'javascript:1', 'data:,x', 'gopher://a.example'])
      assert.equal(hostOf(url), 'scheme_not_allowed');
    for (const url of [
      '',
      'a.example',
      '//a.example',
      'https://',
      'https://a b/',
      'https://a.example/\r\nX: y',
      ' https://a.example/',
      'https://a.\texample/',
    ])
      assert.equal(hostOf(url), 'malformed');
  });
});
