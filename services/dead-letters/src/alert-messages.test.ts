import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { targetFaults, targetFrom } from './alert-messages.ts';

const url = 'https://pager.example/ragline';
const secret = `whsec_${Buffer.alloc(24).toString('base64')}`;

describe('where alerts are posted', () => {
  it('is nowhere without a URL', () => {
    assert.deepEqual(targetFaults({ url: undefined, secret: undefined }), []);
    assert.equal(targetFrom({ url: undefined, secret }), undefined);
  });
  it('is a URL with a secret, with or without its prefix', () => {
    assert.deepEqual(targetFaults({ url, secret }), []);
    assert.deepEqual(targetFaults({ url, secret: secret.replace('whsec_', '') }), []);
    assert.deepEqual(targetFrom({ url, secret }), { url, secret });
  });

  const table: [string, { url: string; secret: string | undefined }, RegExp][] = [
    ['a URL that is none', { url: 'pager', secret }, /ALERT_URL must be an http or https URL/],
    [
      'a URL of another kind',
      { url: 'file:///etc/passwd', secret },
      /ALERT_URL must be an http or https URL/,
    ],
    [
      'a login in the URL',
      { url: 'https://me:pw@pager.example', secret },
      /ALERT_URL must not carry a login/,
    ],
    ['no secret', { url, secret: undefined }, /ALERT_SECRET must be set with ALERT_URL/],
    ['a secret that is no base64', { url, secret: 'whsec_öö' }, /ALERT_SECRET/],
    ['a short secret', { url, secret: Buffer.alloc(16).toString('base64') }, /24 bytes/],
  ];
  for (const [what, settings, fault] of table) {
    it(`must not be ${what}`, () => {
      const [found, ...others] = targetFaults(settings);
      assert.match(found ?? '', fault);
      assert.ok(!found?.includes('pw'));
      assert.deepEqual(others, []);
    });
  }
});
