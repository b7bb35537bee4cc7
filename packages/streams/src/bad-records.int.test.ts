import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { Producer } from '@platformatic/kafka';
import { anOrderEvent } from '@ragline/schemas/samples';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { openScene, type Scene } from './testing.ts';

describe('a group that meets records it did not expect', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene.close());

  it('keeps each bad record with its exact bytes, and lets all others flow', async () => {
    const handled = new Set<string>();
    await scene.start(
      {
        codec: scene.codec,
        async handle(event) {
          handled.add(event.event_id);
          return 'handled';
        },
      },
      // They share a key: each would wait for an operator to decide about the one before it.
      { deadHead: 'skip' },
    );

    const good = [scene.anEvent(), scene.anEvent(), scene.anEvent()];
    const { headers, value, key } = scene.anEvent();
    const { tenant_id: _, ...withoutTenant } = headers ?? {};
    const { id: __, ...withoutId } = headers ?? {};
    const unknownSchema = Buffer.from(value ?? []);
    unknownSchema.writeUInt32BE(2_000_000_000, 1);
    const bad = {
      value_null: { key, value: null, headers },
      key_missing: { key: null, value, headers },
      tenant_missing: { key, value, headers: withoutTenant },
      event_id_missing: { key, value, headers: withoutId },
      tenant_mismatch: { key, value, headers: { ...headers, tenant_id: randomUUID() } },
      schema_unknown: { key, value: unknownSchema, headers },
      not_confluent: { key, value: Buffer.concat([Buffer.from([1]), randomBytes(900 * 1024)]), headers },
      malformed_avro: {
        key,
        value: Buffer.concat([(value ?? Buffer.alloc(0)).subarray(0, 5), randomBytes(3)]),
        headers,
      },
    };
    const [first, second, third] = good;
    assert.ok(first && second && third);
    await scene.send([
      first,
      ...Object.values(bad).slice(0, 4),
      second,
      ...Object.values(bad).slice(4),
      third,
    ]);

    const letters = await scene.letters(Object.keys(bad).length);
    await eventually(() =>
      assert.deepEqual([...handled].sort(), good.map(({ event }) => event.event_id).sort()),
    );
    const byCode = new Map(letters.map((letter) => [String(letter.headers['error-code']), letter]));
    assert.deepEqual([...byCode.keys()].sort(), Object.keys(bad).sort());
    for (const [code, sent] of Object.entries(bad)) {
      const letter = byCode.get(code);
      assert.ok(letter);
      assert.deepEqual(letter.value, sent.value, `${code}: value`);
      assert.equal(letter.key === null ? null : letter.key.toString(), sent.key, `${code}: key`);
      assert.equal(String(letter.headers['original-topic']), scene.topic);
      assert.equal(String(letter.headers['original-group']), scene.groupId);
      assert.equal(String(letter.headers.attempt), '1');
      for (const name of Object.keys(sent.headers ?? {}))
        assert.ok(name in letter.headers, `${code}: ${name}`);
    }
    await eventually(async () => {
      const ends = await scene.admin.fetchTopicOffsets(scene.topic);
      const last = ends.sort((a, b) => a.partition - b.partition).map(({ high }) => high);
      const committed = await scene.committed();
      assert.deepEqual(
        committed.map((offset, at) => (offset === '-1' ? '0' : offset) === last[at]),
        [true, true, true],
      );
    });
  });

  it('handles a foreign producer’s LZ4 batch and an event of 900 KiB like any other', async () => {
    const ids = new Set<string>();
    const other = await openScene();
    try {
      await other.start({
        codec: other.codec,
        async handle(event) {
          ids.add(event.event_id);
          return 'handled';
        },
      });
      const order = anOrderEvent().order;
      const [item] = order.items;
      assert.ok(item);
      // 200 lines whose names make it large; an event of ours is valid at any length of name.
      const items = Array.from({ length: 200 }, () => ({
        ...item,
        name: randomBytes(2_350).toString('hex'),
      }));
      const large = other.anEvent({ order: { ...order, items } });
      assert.ok((large.value?.length ?? 0) > 900 * 1024);
      const batch = Array.from({ length: 200 }, () => other.anEvent());
      await sendAsLz4(other, batch);
      await other.send([large]);
      const expected = [...batch, large].map(({ event }) => event.event_id).sort();
      await eventually(() => assert.deepEqual([...ids].sort(), expected), { withinMs: 20_000 });
    } finally {
      await other.close();
    }
  });
});

async function sendAsLz4(scene: Scene, records: ReturnType<Scene['anEvent']>[]): Promise<void> {
  const { brokers, username, password } = stack().kafka;
  const producer = new Producer({
    clientId: 'foreign',
    bootstrapBrokers: brokers,
    ...(username ? { sasl: { mechanism: 'PLAIN', username, password } } : {}),
  });
  const messages = records.map(({ key, value, headers }) => ({
    topic: scene.topic,
    key: Buffer.from(String(key)),
    value: value ?? Buffer.alloc(0),
    headers: new Map(
      Object.entries(headers ?? {}).map(([name, text]) => [Buffer.from(name), Buffer.from(String(text))]),
    ),
  }));
  await producer.send({ messages, compression: 'lz4' });
  await producer.close();
}
