import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'mocha';
import { stack } from '../../tests/support/stack.ts';
import { avroType } from './avro.ts';
import { createCodec } from './codec.ts';
import { checkSchemas, registerSchemas, type SubjectSchema, subjects } from './register.ts';
import { connectRegistry } from './registry.ts';
import { aChatEvent, aChatRequest, aDeadLetterEvent, anLlmCall, anOrderEvent } from './samples.ts';
import { type SchemaValues, schemaTexts } from './types.generated.ts';

describe('the codec and a real registry', function () {
  this.timeout(60_000);
  const registryUrl = () => stack().registryUrl;

  it('agree about every schema of ours: what one process encodes, another decodes', async () => {
    const now = new Date().toISOString();
    const head = { event_id: randomUUID(), occurred_at: now, tenant_id: randomUUID(), user_id: randomUUID() };
    const product = {
      id: randomUUID(),
      tenant_id: head.tenant_id,
      name: 'Tee ☕',
      description: '',
      category: null,
      tags: ['a'],
      price: 1,
      currency: 'EUR',
      available: true,
      attributes: { deep: { list: [1, null, 'x'] } },
      version: 1,
      created_at: now,
      updated_at: now,
    };
    const { user_id, ...shared } = head;
    const notification = {
      id: randomUUID(),
      kind: 'order_created',
      event_id: randomUUID(),
      order_id: null,
      title: 't',
      read_at: now,
      created_at: now,
    };
    const values: SchemaValues = {
      order_v1: anOrderEvent(),
      catalog_v1: { ...shared, event_type: 'product_changed', actor_id: user_id, product, document: null },
      notification_v1: {
        ...{ ...head, event_type: 'notification_created', audience: 'staff', notification },
        ...{ while_staff: false, preferences: { version: 1, quiet_hours: null } },
      },
      revocation_v1: { ...head, event_type: 'user_revoked', session_id: null, valid_until: now },
      dead_letter_v1: aDeadLetterEvent(),
      chat_request_v1: aChatRequest(),
      chat_event_v1: aChatEvent({ message: { content: 'x' }, quote: { total: 1 } }),
      llm_call_v1: anLlmCall(),
    };
    const writer = createCodec({ registryUrl: registryUrl() });
    const reader = createCodec({ registryUrl: registryUrl() });
    const encoded = [
      [(await writer.encoder('order_v1'))(values.order_v1), 'order_v1'],
      [(await writer.encoder('catalog_v1'))(values.catalog_v1), 'catalog_v1'],
      [(await writer.encoder('notification_v1'))(values.notification_v1), 'notification_v1'],
      [(await writer.encoder('revocation_v1'))(values.revocation_v1), 'revocation_v1'],
      [(await writer.encoder('dead_letter_v1'))(values.dead_letter_v1), 'dead_letter_v1'],
      [(await writer.encoder('chat_request_v1'))(values.chat_request_v1), 'chat_request_v1'],
      [(await writer.encoder('chat_event_v1'))(values.chat_event_v1), 'chat_event_v1'],
      [(await writer.encoder('llm_call_v1'))(values.llm_call_v1), 'llm_call_v1'],
    ] as const;
    for (const [bytes, schema] of encoded) {
      const { name, value } = await reader.decode(bytes);
      assert.deepEqual([name, JSON.parse(JSON.stringify(value))], [schema, values[schema]]);
    }
  });

  it('calls an id that the registry does not have permanent', async () => {
    const bytes = Buffer.from([0, 0x7f, 0, 0, 1, 0]);
    await assert.rejects(createCodec({ registryUrl: registryUrl() }).decode(bytes), {
      code: 'schema_unknown',
      permanent: true,
    });
  });

  it('decodes what an older version of the schema wrote', async () => {
    const of = scratch(without('order_v1', 'previous_status'));
    const [older] = await registerSchemas({ registryUrl: registryUrl(), of: [of] });
    assert.ok(older);
    const event = anOrderEvent();
    const header = Buffer.of(0, 0, 0, 0, 0);
    header.writeUInt32BE(older.schema_id, 1);
    const bytes = Buffer.concat([header, avroType(of.text).toBuffer(event)]);
    const { schema_id, value } = await createCodec({ registryUrl: registryUrl() }).decode(bytes);
    assert.deepEqual([schema_id, JSON.parse(JSON.stringify(value))], [older.schema_id, event]);
  });

  it('takes a schema as often as it is registered, and a compatible new one', async () => {
    const first = scratch(without('order_v1', 'previous_status'));
    const [once] = await registerSchemas({ registryUrl: registryUrl(), of: [first] });
    assert.deepEqual(await registerSchemas({ registryUrl: registryUrl(), of: [first] }), [once]);
    const next = { ...first, text: schemaTexts.order_v1 };
    assert.equal((await checkSchemas({ registryUrl: registryUrl(), of: [next] }))[0]?.state, 'compatible');
    await registerSchemas({ registryUrl: registryUrl(), of: [next] });
  });

  it('refuses a schema that readers or writers of an earlier one would break on', async () => {
    const first = scratch(schemaTexts.order_v1);
    await registerSchemas({ registryUrl: registryUrl(), of: [first] });
    for (const text of [without('order_v1', 'user_id'), withRequired('order_v1')]) {
      const next = { ...first, text };
      assert.equal(
        (await checkSchemas({ registryUrl: registryUrl(), of: [next] }))[0]?.state,
        'incompatible',
      );
      await assert.rejects(
        registerSchemas({ registryUrl: registryUrl(), of: [next] }),
        new RegExp(first.subject),
      );
    }
  });

  it('keeps the compatibility of each subject as the map of topics says', async () => {
    const registry = connectRegistry({ registryUrl: registryUrl() });
    for (const { subject, compatibility } of subjects) {
      assert.deepEqual(await registry.ask('GET', `/config/${subject}`), {
        compatibilityLevel: compatibility,
      });
    }
  });
});

/** A subject of the test's own, with the strictest compatibility. */
function scratch(text: string): SubjectSchema {
  return {
    subject: `test-${randomUUID()}-value`,
    schema: 'order_v1',
    compatibility: 'FULL_TRANSITIVE',
    text,
  };
}

function without(name: 'order_v1', field: string): string {
  const schema: { fields: { name: string }[] } = JSON.parse(schemaTexts[name]);
  return JSON.stringify({ ...schema, fields: schema.fields.filter((it) => it.name !== field) });
}

function withRequired(name: 'order_v1'): string {
  const schema: { fields: object[] } = JSON.parse(schemaTexts[name]);
  return JSON.stringify({ ...schema, fields: [...schema.fields, { name: 'channel', type: 'string' }] });
}
