/** Entries: records of the tail as the live plane keeps them, decoded and framed only when somebody listens. */
import type { TailRecord } from '@ragline/streams/tail-records';

/** A topic that is followed; `next` and `floor` are by partition. */
export type LiveTopic = {
  readonly index: number;
  readonly name: string;
  epoch: number;
  /** The instance's vector: everything before it has been taken in. */
  next: number[];
  /** Everything from here to `next` is in the ring. */
  floor: number[];
};

export type Entry = {
  /** Index of the topic. */
  readonly topic: number;
  readonly partition: number;
  readonly offset: number;
  readonly tenant: string;
  /** From the header; undefined when a foreign producer left it out: then no user's channel has it. */
  readonly user: string | undefined;
  readonly key: string;
  readonly id: string;
  readonly traceparent: string;
  readonly receivedAt: number;
  content:
    | { state: 'raw'; value: Buffer }
    /** `tail` is the end of the event's JSON, from `,"id"` on. */
    | { state: 'ready'; tail: Buffer; eventType: string; about: About | undefined }
    /** Shown to nobody: it names another tenant or user inside, or cannot be decoded. */
    | { state: 'hidden'; reason: string };
  bytes: number;
  /** Whether the ring has it, and so counts its bytes. */
  isKept: boolean;
  sockets: number;
  sse: number;
};

/** A notification that was made: what decides who wants to hear of it. */
export type About = { kind: string; createdAt: number; whileStaff: boolean };

/** What a decoder gives: the record's value as JSON has it. Throws for what is no event. */
export type Decode = (value: Buffer) => unknown;

/** Roughly what an entry costs beside its bytes. */
const entryBytes = 320;

/** Reads headers alone; undefined for what belongs to no tenant or has no value: the group dead-letters that. */
export function entryFrom(
  record: TailRecord,
  at: { topic: number; partition: number; receivedAt: number },
): Entry | undefined {
  if (record.value === null) return undefined;
  let tenant: string | undefined;
  let user: string | undefined;
  let id = '';
  let traceparent = '';
  for (const [name, value] of record.headers) {
    if (name === null || value === null) continue;
    switch (name.toString('latin1')) {
      case 'tenant_id':
        tenant = value.toString('latin1');
        break;
      case 'user_id':
        user = value.toString('latin1');
        break;
      case 'id':
        id = value.toString('latin1');
        break;
      case 'traceparent':
        traceparent = value.toString('latin1');
        break;
    }
  }
  if (tenant === undefined || tenant === '') return undefined;
  return {
    ...at,
    offset: record.offset,
    tenant,
    user,
    key: record.key?.toString('latin1') ?? '',
    id,
    traceparent,
    // Copied: a slice would keep the whole fetch answer alive.
    content: { state: 'raw', value: Buffer.from(record.value) },
    bytes: entryBytes + record.value.length,
    isKept: false,
    sockets: 0,
    sse: 0,
  };
}

/** Decodes once, and checks that header and value name the same tenant and user. Returns whether it may be shown. */
export function prepare(entry: Entry, decode: Decode): entry is Entry & { content: { state: 'ready' } } {
  if (entry.content.state === 'raw') entry.content = contentOf(entry, entry.content.value, decode);
  return entry.content.state === 'ready';
}

function contentOf(entry: Entry, raw: Buffer, decode: Decode): Entry['content'] {
  let value: unknown;
  try {
    value = decode(raw);
  } catch (error) {
    return { state: 'hidden', reason: error instanceof Error ? error.message : 'cannot be decoded' };
  }
  if (!isEvent(value)) return { state: 'hidden', reason: 'its value is no event' };
  if (value.tenant_id !== entry.tenant)
    return { state: 'hidden', reason: 'header and value name two tenants' };
  if (entry.user !== undefined && value.user_id !== entry.user) {
    return { state: 'hidden', reason: 'header and value name two users' };
  }
  const { event_id: id, event_type: eventType, occurred_at } = value;
  const json = JSON.stringify({ id, event_type: eventType, occurred_at, data: value });
  return { state: 'ready', tail: Buffer.from(`,${json.slice(1)}`), eventType, about: aboutOf(value) };
}

function aboutOf(value: EventValue & { notification?: unknown; while_staff?: unknown }): About | undefined {
  const { event_type, notification, while_staff } = value;
  if (event_type !== 'notification_created' || typeof notification !== 'object' || notification === null) {
    return undefined;
  }
  const { kind, created_at }: Partial<Record<string, unknown>> = { ...notification };
  if (typeof kind !== 'string' || typeof created_at !== 'string') return undefined;
  return { kind, createdAt: Date.parse(created_at), whileStaff: while_staff === true };
}

type EventValue = Record<'event_id' | 'event_type' | 'occurred_at' | 'tenant_id' | 'user_id', string>;

function isEvent(value: unknown): value is EventValue {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Partial<Record<string, unknown>> = { ...value };
  for (const name of ['event_id', 'occurred_at', 'tenant_id', 'user_id']) {
    if (typeof fields[name] !== 'string') return false;
  }
  // It becomes a line of an SSE stream.
  return typeof fields.event_type === 'string' && /^[a-z0-9_]{1,64}$/.test(fields.event_type);
}
