/** A dead letter as it is stored; see migrations/0401. */

import type { StoredHeaders } from '@ragline/streams/parking/headers';

export const letterStates = ['waiting', 'replaying', 'resolved', 'discarded'] as const;
export type LetterState = (typeof letterStates)[number];

/** Who wrote the letter: RAGline's runner, Spring Kafka, Kafka Connect, Kafka Streams, a share group, or nobody known. */
export type LetterSource = 'ragline' | 'spring' | 'connect' | 'streams' | 'share' | 'unknown';

export type { StoredHeaders };
/** Text, or base64 where it is none; with `all` when the record has the name several times: then it is the last of them. */
export type HeaderValue = StoredHeaders[string];

/** What makes letters alike, and so why they stand in one group. */
export type FingerprintParts = {
  algorithm: number;
  group: string;
  event_type: string | null;
  error_class: string | null;
  /** Without what differs from letter to letter: ids, numbers, times, quoted texts. */
  message: string;
  /** The first frame of the stack that is the application's own. */
  frame: string | null;
};

/** What went wrong, as one attempt left it. */
export type LetterError = {
  error_code: string | null;
  error_class: string | null;
  error_message: string | null;
  error_stack: string | null;
};

export type LetterSummary = Omit<LetterError, 'error_stack'> & {
  id: string;
  state: LetterState;
  group_id: string;
  topic: string;
  partition: number;
  /** 64 bits: a number would round it. */
  offset: string;
  parked_record: number | null;
  key: Buffer | null;
  tenant_id: string | null;
  event_id: string | null;
  event_type: string | null;
  source: LetterSource;
  fingerprint: string;
  attempts: number;
  version: number;
  first_failed_at: Date;
  failed_at: Date;
  kept_at: Date;
  updated_at: Date;
  replaying_since: Date | null;
  resolved_at: Date | null;
  discarded_at: Date | null;
  discard_reason: string | null;
  edited_from: string | null;
  batch_id: string | null;
};

export type LetterRow = LetterSummary & {
  error_stack: string | null;
  deaths: number;
  inbox_id: string | null;
  schema_id: number | null;
  value: Buffer | null;
  decoded: unknown;
  decode_error: string | null;
  headers: StoredHeaders;
  dlq_topic: string;
  dlq_partition: number;
  dlq_offset: string;
  original_timestamp: Date | null;
  fingerprint_parts: FingerprintParts;
};

export type AttemptRow = LetterError & {
  number: number;
  attempt: number;
  failed_at: Date;
  by: 'tiers' | 'replay';
};

export type NoteRow = { id: string; user_id: string; text: string; at: Date };

/** What it takes to decide about a letter and to tell of it: without its key, value, headers and error. */
export type LetterHead = Pick<
  LetterRow,
  | 'id'
  | 'state'
  | 'group_id'
  | 'topic'
  | 'partition'
  | 'offset'
  | 'parked_record'
  | 'tenant_id'
  | 'event_id'
  | 'event_type'
  | 'source'
  | 'error_code'
  | 'error_class'
  | 'fingerprint'
  | 'attempts'
  | 'version'
  | 'deaths'
  | 'inbox_id'
>;

/** What selects the columns of LetterHead from dead_letters.letter, which must be called l. */
export const headColumns = `l.id, l.state, l.group_id, l.topic, l.partition, l."offset"::text, l.parked_record, l.tenant_id, l.event_id,
  l.event_type, l.source, l.error_code, l.error_class, l.fingerprint, l.attempts, l.version, l.deaths, l.inbox_id`;

/** What selects the columns of LetterSummary from dead_letters.letter, which must be called l. */
export const summaryColumns = `l.id, l.state, l.group_id, l.topic, l.partition, l."offset"::text, l.parked_record, l.key, l.tenant_id,
  l.event_id, l.event_type, l.source, l.fingerprint, l.attempts, l.version, l.first_failed_at, l.failed_at, l.kept_at, l.updated_at,
  l.replaying_since, l.resolved_at, l.discarded_at, l.discard_reason, l.edited_from, l.batch_id,
  l.error_code, l.error_class, l.error_message`;

/** The same for LetterRow. */
export const rowColumns = `${summaryColumns}, l.error_stack, l.deaths, l.inbox_id, l.schema_id, l.value, l.decoded, l.decode_error,
  l.headers, l.dlq_topic, l.dlq_partition, l.dlq_offset::text, l.original_timestamp, l.fingerprint_parts`;
