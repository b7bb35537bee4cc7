/** The events that clients are shown, as JSON Schema: made of the Avro schemas, for both documents. */
import { type SchemaName, schemaTexts } from '@ragline/schemas/types.generated';
import { jsonSchemaOf } from './avro-json-schema.ts';
import { eventExamples } from './event-examples.ts';
import type { Json } from './openapi.ts';

/** An Avro schema as it is registered. */
export function avroOf(name: SchemaName): unknown {
  return JSON.parse(schemaTexts[name]);
}

/** What the channels of sockets and streams carry as `data`. */
export function shownEvents() {
  const of = (name: SchemaName): Json => ({ ...jsonSchemaOf(avroOf(name)), examples: [eventExamples[name]] });
  return {
    OrderEventData: of('order_v1'),
    NotificationEventData: of('notification_v1'),
    ChatEventData: withoutNulls(of('chat_event_v1')),
  };
}

/** Of a flat event whose fields that would be null are left out where it is shown. */
function withoutNulls(schema: Json): Json {
  const required: string[] = [];
  const properties = Object.entries(isObject(schema.properties) ? schema.properties : {});
  const shown = properties.map(([name, property]) => {
    const { anyOf, ...rest } = isObject(property) ? property : {};
    if (!Array.isArray(anyOf)) required.push(name);
    const branches: unknown[] = Array.isArray(anyOf) ? anyOf : [];
    const said = branches.find((branch) => isObject(branch) && branch.type !== 'null');
    return [name, { ...(isObject(said) ? said : {}), ...rest }];
  });
  return { ...schema, properties: Object.fromEntries(shown), required };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
