import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { letterFrom, type Reading } from './domain.ts';
import { decide, identityOf, type Known } from './letter-keep.ts';
import { keyFrom, keyText } from './letter-key.ts';
import { masked, maskOf, sensitiveHeaders, shownHeaders } from './letter-view.ts';
import { wordQuery, wordsOf } from './letter-words.ts';

const now = new Date('2026-11-22T12:00:00Z');
const unread: Reading = { decoded: null, decode_error: 'not_confluent' };
const found = {
  topic: 'chat.dlq',
  partition: 3,
  offset: '7',
  timestamp: now.getTime(),
  key: null,
  value: null,
};

type Headers = Record<string, string | Buffer>;
const letter = (headers: Headers, reading = unread) => letterFrom({ ...found, headers }, reading, now);

const int = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const long = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

describe('letters from records', () => {
  it('keeps a letter without headers under the address it was found at', () => {
    assert.equal(identityOf(letter({})), 'unknown/chat.dlq/3/7');
  });

  it('takes no half of an original address', () => {
    const own = { 'original-group': 'chat', 'original-topic': 'orders.v1', 'original-partition': '2' };
    assert.equal(identityOf(letter({ ...own, 'original-offset': '41' })), 'chat/orders.v1/2/41');
    for (const offset of ['', '-1', '1e3', '9223372036854775808', ' 41', '0x1']) {
      assert.equal(identityOf(letter({ ...own, 'original-offset': offset })), 'chat/chat.dlq/3/7', offset);
    }
    assert.equal(
      identityOf(letter({ ...own, 'original-offset': '1', 'original-topic': 'a b' })),
      'chat/chat.dlq/3/7',
    );
  });

  it('knows a parked record by its id alone', () => {
    const own = { 'original-group': 'chat', 'parked-record': '17', deaths: '2', 'inbox-id': 'i' };
    const { parked_record, deaths, inbox_id } = letter(own);
    assert.deepEqual([parked_record, deaths, inbox_id], [17, 2, 'i']);
    assert.equal(identityOf(letter(own)), 'chat#17');
    // Of another producer it says nothing.
    assert.equal(letter({ 'parked-record': '17' }).parked_record, null);
  });

  it('believes what speaks for a group on the topic of that group alone', () => {
    const elsewhere = letter({ 'original-group': 'billing', 'parked-record': '7', deaths: '99' });
    assert.deepEqual([elsewhere.source, elsewhere.parked_record], ['unknown', null]);
    assert.equal(identityOf(elsewhere), 'unknown/chat.dlq/3/7');
  });

  it('gives a record without an id the inbox id of its place', () => {
    const own = {
      'original-group': 'chat',
      'original-topic': 't',
      'original-partition': '0',
      'original-offset': '5',
    };
    assert.equal(letter(own).inbox_id, 'at:t/0/5');
  });

  describe('of others', () => {
    it('understands Spring Kafka, whose numbers are bytes', () => {
      const it = letter({
        'kafka_dlt-original-topic': 'orders',
        'kafka_dlt-original-partition': int(5),
        'kafka_dlt-original-offset': long(2n ** 62n),
        'kafka_dlt-original-timestamp': long(1_700_000_000_000n),
        'kafka_dlt-original-consumer-group': 'billing',
        'kafka_dlt-exception-fqcn': 'org.springframework.kafka.listener.ListenerExecutionFailedException',
        'kafka_dlt-exception-cause-fqcn': 'java.lang.IllegalStateException',
        'kafka_dlt-exception-message': 'no price',
        'kafka_dlt-exception-stacktrace': 'java.lang.X\n\tat com.example.A.b(A.java:1)',
      });
      assert.equal(identityOf(it), `billing/orders/5/${2n ** 62n}`);
      assert.deepEqual(
        [it.source, it.error_class, it.error_message, it.original_timestamp?.getTime(), it.inbox_id],
        ['spring', 'java.lang.IllegalStateException', 'no price', 1_700_000_000_000, null],
      );
      assert.equal(it.fingerprint_parts.frame, 'com.example.A.b(A.java)');
    });

    it('takes numbers of Spring that are odd for none', () => {
      for (const partition of [int(-1), long(1n), Buffer.from([1])]) {
        const it = letter({
          'kafka_dlt-original-topic': 'orders',
          'kafka_dlt-original-partition': partition,
          'kafka_dlt-original-offset': long(1n),
        });
        assert.equal(it.topic, 'chat.dlq');
      }
      const digits = {
        'kafka_dlt-original-topic': 'orders',
        'kafka_dlt-original-partition': '1234',
        'kafka_dlt-original-offset': '12345678',
      };
      assert.equal(identityOf(letter(digits)), 'unknown/orders/1234/12345678');
    });

    it('understands Kafka Connect, whose sinks are groups of their own', () => {
      const it = letter({
        '__connect.errors.topic': 'orders',
        '__connect.errors.partition': '1',
        '__connect.errors.offset': '9',
        '__connect.errors.connector.name': 'jdbc',
        '__connect.errors.stage': 'VALUE_CONVERTER',
        '__connect.errors.exception.class.name': 'org.apache.kafka.connect.errors.DataException',
        '__connect.errors.exception.message': 'bad',
      });
      assert.deepEqual(
        [identityOf(it), it.source, it.error_code],
        ['connect-jdbc/orders/1/9', 'connect', 'value_converter'],
      );
    });

    it('understands Kafka Streams', () => {
      const it = letter({
        '__streams.errors.exception': 'com.example.Bad: no price',
        '__streams.errors.message': 'no price',
        '__streams.errors.topic': 'orders',
        '__streams.errors.partition': '1',
        '__streams.errors.offset': '9',
      });
      assert.deepEqual(
        [identityOf(it), it.source, it.error_class, it.error_message],
        ['unknown/orders/1/9', 'streams', 'com.example.Bad', 'no price'],
      );
    });

    it('understands share groups', () => {
      const it = letter({
        '__dlq.errors.topic': 'orders',
        '__dlq.errors.partition': '1',
        '__dlq.errors.offset': '9',
        '__dlq.errors.group': 'share',
        '__dlq.errors.delivery.count': '3',
        '__dlq.errors.message': 'Offset rejected by client.',
      });
      assert.deepEqual([identityOf(it), it.source, it.attempts], ['share/orders/1/9', 'share', 3]);
    });
  });

  it('makes a letter of any headers and bytes', function () {
    this.timeout(20_000);
    const names = fc.constantFrom(
      'original-group',
      'original-topic',
      'original-offset',
      'original-partition',
      'attempt',
      'deaths',
      'parked-record',
      'inbox-id',
      'failed-at',
      'first-failed-at',
      'error-message',
      'error-code',
      'id',
      'tenant_id',
      'kafka_dlt-original-topic',
      'kafka_dlt-original-offset',
      '__connect.errors.offset',
      '__proto__',
      'constructor',
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((it) => Buffer.from(it)),
      fc.string({ unit: 'binary', maxLength: 40 }).map((it) => Buffer.from(it)),
    );
    const headers = fc.dictionary(names, fc.oneof(bytes, fc.array(bytes, { maxLength: 3 })));
    fc.assert(
      fc.property(
        headers,
        bytes,
        fc.double(),
        fc.jsonValue({ maxDepth: 2 }),
        (given, value, timestamp, decoded) => {
          const reading: Reading = decoded === null ? unread : { decoded, decode_error: null };
          const it = letterFrom({ ...found, value, timestamp, headers: given }, reading, now);
          const texts = [
            it.group_id,
            it.topic,
            it.inbox_id,
            it.event_id,
            it.error_code,
            it.error_message,
            ...it.words,
          ];
          for (const text of texts) assert.ok(text === null || (!text.includes('\0') && text.isWellFormed()));
          assert.ok(BigInt(it.offset) >= 0n && it.partition >= 0 && it.deaths >= 1 && it.attempts >= 1);
          for (const at of [it.failed_at, it.first_failed_at]) assert.ok(!Number.isNaN(at.getTime()));
          assert.equal(it.tenant_id, null);
        },
      ),
    );
  });
});

describe('a letter that comes again', () => {
  const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000);
  const known: Known = {
    state: 'waiting',
    deaths: 1,
    attempts: 5,
    failed_at: at(0),
    replaying_since: null,
    seen: [`5@${at(0).getTime()}`],
  };
  const replaying: Known = { ...known, state: 'replaying', replaying_since: at(60) };
  const parked = { parked_record: 7, attempts: 5, failed_at: at(0) };
  const unordered = { parked_record: null, deaths: 1 };

  const cases: [string, Known, Parameters<typeof decide>[1], ReturnType<typeof decide>][] = [
    ['with as many deaths is a copy', known, { ...parked, deaths: 1 }, { kind: 'copy' }],
    ['with fewer deaths is a copy', { ...known, deaths: 3 }, { ...parked, deaths: 2 }, { kind: 'copy' }],
    [
      'with more deaths waits again',
      { ...replaying },
      { ...parked, deaths: 2 },
      { kind: 'newer', state: 'waiting' },
    ],
    [
      'with more deaths stays discarded',
      { ...known, state: 'discarded' },
      { ...parked, deaths: 2 },
      { kind: 'newer', state: 'discarded' },
    ],
    [
      'with the same attempt is a copy',
      known,
      { ...unordered, attempts: 5, failed_at: at(0) },
      { kind: 'copy' },
    ],
    [
      'with the next attempt answers a replay',
      replaying,
      { ...unordered, attempts: 6, failed_at: at(30) },
      { kind: 'newer', state: 'waiting' },
    ],
    [
      'failed since answers a replay',
      replaying,
      { ...unordered, attempts: 5, failed_at: at(61) },
      { kind: 'newer', state: 'waiting' },
    ],
    [
      'failed before answers none',
      replaying,
      { ...unordered, attempts: 5, failed_at: at(1) },
      { kind: 'newer', state: 'replaying' },
    ],
    [
      'from before the last is late',
      known,
      { ...unordered, attempts: 4, failed_at: at(-9) },
      { kind: 'late' },
    ],
    [
      'stays resolved',
      { ...known, state: 'resolved' },
      { ...unordered, attempts: 6, failed_at: at(9) },
      { kind: 'newer', state: 'resolved' },
    ],
  ];
  for (const [what, before, incoming, decision] of cases) {
    it(what, () => assert.deepEqual(decide(before, incoming), decision));
  }
});

describe('what is shown of a letter', function () {
  this.timeout(20_000);

  it('hides the values of headers that are secrets, however they are spelt', () => {
    const mask = maskOf(sensitiveHeaders);
    for (const name of [
      'Authorization',
      'X-Auth-Token',
      'x_api_key',
      'Set-Cookie',
      'client.secret',
      'db_password',
    ]) {
      assert.ok(mask(name), name);
    }
    for (const name of ['id', 'tenant_id', 'traceparent', 'error-message', 'author'])
      assert.ok(!mask(name), name);
    const shown = shownHeaders({ authorization: { t: 'Bearer x' }, a: { t: 'b' }, c: { b: 'AAE=' } }, mask);
    assert.deepEqual(shown, { authorization: masked, a: 'b', c: { base64: 'AAE=' } });
  });

  it('shows all values of a name that is there several times', () => {
    const stored = { a: { t: '2', all: [{ t: '1' }, { t: '2' }] } };
    assert.deepEqual(
      shownHeaders(stored, () => false),
      { a: ['1', '2'] },
    );
  });

  it('spells keys so that the same bytes are found again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.string({ maxLength: 20 })), (given) => {
        const key = Buffer.from(given);
        assert.deepEqual(keyFrom(keyText(key) ?? ''), key);
      }),
    );
    assert.equal(keyText(Buffer.from('base64:x')), 'base64:YmFzZTY0Ong=');
  });
});

describe('words to find letters by', function () {
  this.timeout(20_000);

  it('are ids as a whole, and their parts', () => {
    const id = '018f3b6e-7e11-7cc4-8a6f-2f9b3c5d7e90';
    assert.ok(wordsOf([`order ${id}, twice`]).includes(id));
    assert.deepEqual(wordsOf(['Error: orders.v1']), ['error', 'orders.v1', 'orders', 'v1']);
  });

  it('are found by what is made of them', () => {
    assert.equal(wordQuery('Orders.v1 ab'), `'orders.v1':* & 'ab'`);
    assert.equal(wordQuery(`'; -- ()&|!`), undefined);
  });

  it('are never more than there is room for, nor anything that would have to be quoted', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 100 }), { maxLength: 5 }), (texts) => {
        const words = wordsOf(texts);
        assert.ok(words.length <= 300);
        for (const word of words) assert.match(word, /^[\p{L}\p{N}\ufffd._:@-]{1,64}$/u);
      }),
    );
  });
});
