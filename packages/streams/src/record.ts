/** A record as it came, and the event that it means. */
import type { SchemaName, SchemaValues } from '@ragline/schemas/types.generated';

export type RawHeaders = Record<string, Buffer | string | (Buffer | string)[] | undefined>;

/** What Kafka stores, untouched. */
export type ConsumedRecord = {
  topic: string;
  partition: number;
  /** 64 bits: a number would round it. */
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: RawHeaders;
  /** When the producer or the broker stamped it, milliseconds. */
  timestamp: number;
};

type Envelope = {
  topic: string;
  partition: number;
  offset: string;
  key: string | null;
  headers: Record<string, string>;
  event_id: string;
  event_type: string;
  tenant_id: string;
  /** '' when the event belongs to no single user. */
  user_id: string;
  schema_id: number;
  /** Milliseconds, as in ConsumedRecord. */
  timestamp: number;
};

/** A decoded record: `schema` tells which value it has. */
export type DecodedEvent = {
  [N in SchemaName]: Envelope & { schema: N; value: SchemaValues[N] };
}[SchemaName];

/** The headers as texts; of one that is there several times, the last. */
export function textHeaders(headers: RawHeaders): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, all] of Object.entries(headers)) {
    const value = Array.isArray(all) ? all.at(-1) : all;
    if (value !== undefined && value !== null) texts[name] = value.toString();
  }
  return texts;
}
