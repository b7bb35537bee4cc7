import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { type Codec, CodecError, createCodec, SchemaNotCached } from './codec.ts';
import { generatedUrl, generateTypes } from './generate.ts';
import { RegistryUnavailableError } from './registry.ts';
import { aChatEvent, anOrderEvent } from './samples.ts';
import { type SchemaName, schemaTexts } from './types.generated.ts';

describe('generated types', () => {
  it('are what the schemas say', async () => {
    assert.equal(
      await readFile(generatedUrl, 'utf8'),
      await generateTypes(),
      'run "npx ragline schemas generate"',
    );
  });
});

describe('the codec', () => {
  let registry: RegistryFake;
  let codec: Codec;

  beforeEach(async () => {
    registry = await startRegistryFake();
    codec = createCodec({ registryUrl: registry.url });
  });
  afterEach(() => registry.stop());

  it('gives back the value it was given, in the shape of JSON', async () => {
    const event = anOrderEvent();
    const bytes = (await codec.encoder('order_v1'))(event);
    const decoded = await codec.decode(bytes);
    assert.equal(decoded.name, 'order_v1');
    assert.deepEqual(JSON.parse(JSON.stringify(decoded.value)), event);
  });

  it('gives back events of which most fields are null, and objects in those that may be', async () => {
    const events = [aChatEvent(), aChatEvent({ text: null, message: { content: 'At nine.' }, ok: false })];
    const encode = await codec.encoder('chat_event_v1');
    for (const event of events) {
      const { value } = await codec.decode(encode(event));
      assert.deepEqual(JSON.parse(JSON.stringify(value)), event);
    }
  });

  it('writes a zero byte, the id, then Avro', async () => {
    const bytes = (await codec.encoder('order_v1'))(anOrderEvent());
    assert.equal(bytes[0], 0);
    assert.equal(bytes.readUInt32BE(1), registry.idOf('order_v1'));
  });

  it('asks the registry once for an id, however many ask at a time', async () => {
    const bytes = (await codec.encoder('order_v1'))(anOrderEvent());
    await Promise.all([1, 2, 3].map(() => codec.decode(bytes)));
    codec.decodeSync(bytes);
    assert.equal(registry.asked.filter((path) => path.startsWith('/schemas/ids/')).length, 1);
  });

  it('decodes without waiting only what it has looked up', async () => {
    const bytes = (await codec.encoder('order_v1'))(anOrderEvent());
    assert.throws(() => codec.decodeSync(bytes), SchemaNotCached);
    await codec.decode(bytes);
    assert.equal(codec.decodeSync(bytes).name, 'order_v1');
  });

  it('refuses to encode what does not fit, and names the place', async () => {
    const encode = await codec.encoder('order_v1');
    const event = anOrderEvent();
    assert.throws(
      () => encode({ ...event, order: { ...event.order, total: 1.5 } }),
      (error) => error instanceof CodecError && error.permanent && error.message.includes('order.total'),
    );
    // @ts-expect-error: outside the values of the schema, as a careless caller might pass it
    assert.throws(() => encode({ ...event, event_type: 'order_eaten' }), /event_type/);
    assert.throws(() => encode({ ...event, occurred_at: 'yesterday' }), /occurred_at/);
  });

  it('calls an unknown id permanent and does not ask for it again at once', async () => {
    const bytes = Buffer.from([0, 0, 0, 3, 7, 1]);
    await assert.rejects(codec.decode(bytes), {
      name: 'CodecError',
      code: 'schema_unknown',
      permanent: true,
    });
    await assert.rejects(codec.decode(bytes), { code: 'schema_unknown' });
    assert.equal(registry.asked.length, 1);
  });

  it('calls bytes outside the wire format, and bytes that are no such record, permanent', async () => {
    const bytes = (await codec.encoder('order_v1'))(anOrderEvent());
    await assert.rejects(codec.decode(Buffer.from('{}')), { code: 'not_confluent', permanent: true });
    await assert.rejects(codec.decode(Buffer.alloc(0)), { code: 'not_confluent' });
    await assert.rejects(codec.decode(bytes.subarray(0, 40)), { code: 'malformed_avro', permanent: true });
    await assert.rejects(codec.decode(Buffer.concat([bytes, Buffer.of(0)])), { code: 'malformed_avro' });
  });

  it('tells a registry that cannot answer from a schema that is not there', async () => {
    const bytes = Buffer.from([0, 0, 0, 3, 8, 1]);
    registry.answerAll(503, { message: 'later' });
    await assert.rejects(codec.decode(bytes), RegistryUnavailableError);
    // What a proxy says that has lost its backend.
    registry.answerAll(404, '<html>Not Found</html>');
    await assert.rejects(codec.decode(bytes), RegistryUnavailableError);
    await registry.stop();
    await assert.rejects(codec.decode(bytes), RegistryUnavailableError);
  });

  it('reads what an older and a newer writer wrote in the shape of today', async () => {
    const older = changed('order_v1', (fields) => fields.filter(({ name }) => name !== 'previous_status'));
    const newer = changed('order_v1', (fields) => [
      ...fields,
      { name: 'channel', type: 'string', default: 'web' },
    ]);
    const event = anOrderEvent();
    for (const text of [older, newer]) {
      const bytes = registry.encodeAs(text, { ...event, channel: 'kiosk' });
      const { value } = await codec.decode(bytes);
      assert.deepEqual(JSON.parse(JSON.stringify(value)), event);
    }
  });

  it('reads what was written by a schema that the registry has stripped of our attributes', async () => {
    for (const name of [
      'order_v1',
      'notification_v1',
      'catalog_v1',
      'revocation_v1',
      'dead_letter_v1',
    ] as const) {
      const stripped = schemaTexts[name].replace(/,"values":\[[^\]]*\]/g, '');
      assert.notEqual(stripped, schemaTexts[name]);
      const event = {
        event_id: 'e',
        occurred_at: now,
        tenant_id: 't',
        user_id: 'u',
        actor_id: 'a',
        event_type: 'x',
      };
      const order = anOrderEvent().order;
      const value = {
        ...event,
        order,
        audience: 'user',
        notification: null,
        product: null,
        valid_until: now,
        session_id: null,
        letter: null,
        alert: null,
      };
      const decoded = await codec.decode(registry.encodeAs(stripped, { ...value, previous_status: null }));
      assert.equal(decoded.name, name);
    }
  });

  it('reads a foreign schema as its writer meant it', async () => {
    const text = '{"type":"record","name":"Ping","namespace":"others","fields":[{"name":"n","type":"int"}]}';
    const { name, value } = await codec.decode(registry.encodeAs(text, { n: 4 }));
    assert.deepEqual([name, JSON.stringify(value)], ['others.Ping', '{"n":4}']);
  });

  it('calls a schema of our name that cannot be read as ours incompatible', async () => {
    const text =
      '{"type":"record","name":"order_v1","namespace":"ragline","fields":[{"name":"n","type":"int"}]}';
    await assert.rejects(codec.decode(registry.encodeAs(text, { n: 4 })), {
      code: 'schema_incompatible',
      permanent: true,
    });
  });

  it('says what to do when its schema was never registered', async () => {
    await assert.rejects(codec.encoder('order_v1', 'elsewhere-value'), /ragline schemas register/);
  });
});

const now = new Date().toISOString();

type Field = { name: string; type: unknown; default?: unknown };

function changed(name: SchemaName, change: (fields: Field[]) => Field[]): string {
  const schema: { fields: Field[] } = JSON.parse(schemaTexts[name]);
  return JSON.stringify({ ...schema, fields: change(schema.fields) });
}

type RegistryFake = Awaited<ReturnType<typeof startRegistryFake>>;

/** The two lookups of the Confluent API, as Apicurio answers them. */
async function startRegistryFake() {
  const { avroType } = await import('./avro.ts');
  const texts: string[] = Object.values(schemaTexts);
  const asked: string[] = [];
  let always: { status: number; body: unknown } | undefined;
  const server: Server = createServer(async (req, res) => {
    const reply = (status: number, body: unknown) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    asked.push(req.url ?? '');
    if (always) return reply(always.status, always.body);
    const id = Number(/^\/schemas\/ids\/(\d+)/.exec(req.url ?? '')?.[1]);
    if (id) {
      const schema = texts[id - 1];
      return schema ? reply(200, { schema }) : reply(404, { error_code: 40403, message: 'No content' });
    }
    let body = '';
    for await (const chunk of req) body += chunk;
    const found = req.url?.includes('elsewhere') ? 0 : texts.indexOf(JSON.parse(body).schema) + 1;
    return found ? reply(200, { id: found }) : reply(404, { error_code: 40401, message: 'No subject' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://user:secret@127.0.0.1:${port}`,
    asked,
    idOf: (name: SchemaName) => texts.indexOf(schemaTexts[name]) + 1,
    answerAll: (status: number, body: unknown) => {
      always = { status, body };
    },
    encodeAs: (text: string, value: unknown) => {
      texts.push(text);
      const header = Buffer.of(0, 0, 0, 0, texts.length);
      return Buffer.concat([header, avroType(text).toBuffer(value)]);
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
