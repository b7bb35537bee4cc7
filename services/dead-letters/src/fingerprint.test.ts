import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { type Failed, fingerprintOf, normalised, ownFrame } from './fingerprint.ts';

const failed: Failed = {
  group_id: 'chat',
  event_type: 'order_created',
  error_class: 'TypeError',
  error_message: 'Order 17 has no price',
  error_stack:
    'TypeError: no\n    at priceOf (/app/src/price.ts:10:5)\n    at handle (/app/src/consumer.ts:3:1)',
};

const print = (changes: Partial<Failed> = {}) => fingerprintOf({ ...failed, ...changes }).fingerprint;

describe('fingerprints of failures', function () {
  this.timeout(20_000);

  const alike: [string, string][] = [
    ['Order 17 has no price', 'Order 4711 has no price'],
    ['no order 018f3b6e-7e11-7cc4-8a6f-2f9b3c5d7e90', 'no order 0190a1b2-c3d4-7e5f-8091-a2b3c4d5e6f7'],
    ['"Pizza" is unknown', '"Pasta, \\"large\\"" is unknown'],
    ['at 2026-11-22T10:11:12.345Z it failed', 'at 2024-02-29 23:59:59+02:00 it failed'],
    ['cannot open /var/lib/a/b.json', 'cannot open /srv/c.json'],
    ['cannot open C:\\data\\a.txt', 'cannot open D:\\b\\c.txt'],
    ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED 10.0.0.7:6543'],
    ['hash deadbeef01 differs', 'hash 0123456789abcdef differs'],
    ['GET https://a.example/x?y=1 failed', 'GET http://b.example/z failed'],
    ['no user jo@a.example', 'no user ann.b+c@d.example'],
    ['took -1.5e3 ms', 'took 12 ms'],
    ['two   blanks', 'two blanks'],
  ];
  for (const [one, other] of alike) {
    it(`takes "${one}" and "${other}" for the same`, () => {
      assert.equal(normalised(one), normalised(other));
      assert.equal(print({ error_message: one }), print({ error_message: other }));
    });
  }

  const unlike: [string, Partial<Failed>][] = [
    ['words', { error_message: 'Order 17 has no tax' }],
    ['class', { error_class: 'RangeError' }],
    ['event type', { event_type: 'order_cancelled' }],
    ['group', { group_id: 'notifications' }],
    ['place in the code', { error_stack: 'TypeError: no\n    at taxOf (/app/src/tax.ts:10:5)' }],
  ];
  for (const [what, changes] of unlike) {
    it(`tells failures of another ${what} apart`, () => assert.notEqual(print(changes), print()));
  }

  it('does not care where the code lies, nor about lines that moved', () => {
    const moved = 'TypeError: no\n    at priceOf (file:///srv/release-7/src/price.ts:99:1)';
    assert.equal(print({ error_stack: moved }), print());
  });

  it('names the first frame that is neither the platform’s nor a library’s', () => {
    const stack = `Error: x
    at node:internal/process/task_queues:104:5
    at Client.query (/app/node_modules/pg/lib/client.js:545:17)
    at async orderOf (/app/services/chat/src/orders.ts:12:3)`;
    assert.equal(ownFrame(stack), 'async orderOf (orders.ts)');
    const java = `java.lang.IllegalStateException: x
\tat org.springframework.kafka.listener.Foo.bar(Foo.java:10)
\tat com.example.OrderListener.on(OrderListener.java:42)`;
    assert.equal(ownFrame(java), 'com.example.OrderListener.on(OrderListener.java)');
    assert.equal(ownFrame('no stack at all'), null);
  });

  it('keeps what it is made of, with its version', () => {
    const { fingerprint, parts } = fingerprintOf(failed);
    assert.match(fingerprint, /^1-[0-9a-f]{32}$/);
    assert.deepEqual(parts, {
      algorithm: 1,
      group: 'chat',
      event_type: 'order_created',
      error_class: 'TypeError',
      message: 'Order <n> has no price',
      frame: 'priceOf (price.ts)',
    });
  });

  it('is the same for the same failure, and differs only where a part differs', () => {
    const text = fc.option(fc.string({ maxLength: 60 }), { nil: null });
    const any = fc.record({
      group_id: fc.string({ maxLength: 10 }),
      event_type: text,
      error_class: text,
      error_message: text,
      error_stack: text,
    });
    fc.assert(
      fc.property(any, any, (one, other) => {
        const [a, b] = [fingerprintOf(one), fingerprintOf(other)];
        assert.equal(a.fingerprint === b.fingerprint, JSON.stringify(a.parts) === JSON.stringify(b.parts));
        assert.deepEqual(fingerprintOf({ ...one }), a);
      }),
    );
  });

  it('puts any numbers, ids and times into the same words', () => {
    const noise = fc.oneof(
      fc.nat().map(String),
      fc.uuid(),
      fc.date({ noInvalidDate: true }).map((it) => it.toISOString()),
    );
    fc.assert(
      fc.property(fc.constantFrom('order', 'line of', 'no room for'), noise, noise, (words, one, other) => {
        const kind = (value: string) => normalised(value).replace('-', '');
        fc.pre(kind(one) === kind(other));
        assert.equal(normalised(`${words} ${one} failed`), normalised(`${words} ${other} failed`));
      }),
    );
  });

  it('leaves no half of a character where it cuts', () => {
    const long = `${'x'.repeat(511)}😀 and more`;
    assert.ok(normalised(long).isWellFormed());
    assert.ok(ownFrame(`    at ${'x'.repeat(255)}😀.ts:1:2`)?.isWellFormed());
  });

  it('takes any text without end, and leaves none longer than it may be', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: 'binary' }), (message) => {
        const text = normalised(message);
        assert.ok(text.length <= 512);
        assert.equal(normalised(text).includes('\n'), false);
      }),
    );
    // Each of these brings a backtracking engine to its knees where a rule lets it choose.
    for (const piece of [
      'a',
      '0',
      '"',
      "'\\",
      '/',
      '/a',
      '1.',
      ':',
      '@',
      'a@a.',
      '-',
      ' ',
      'deadbeef',
      '1e',
    ]) {
      assert.ok(normalised(piece.repeat(100_000)).length <= 512);
      assert.ok((ownFrame(`at ${piece.repeat(100_000)}`) ?? '').length <= 256);
    }
  });
});
