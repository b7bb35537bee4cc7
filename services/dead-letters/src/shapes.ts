/** What the answers look like. */
import { timestamp, uuid } from '@ragline/web/fields';
import { z } from 'zod';
import { groupExample, letterExample, statsExample, summaryExample } from './examples.ts';
import { letterStates } from './letter.ts';

const error = {
  error_code: z.string().nullable(),
  error_class: z.string().nullable(),
  error_message: z.string().nullable(),
};

const summary = {
  id: uuid,
  state: z.enum(letterStates),
  group: z.string().meta({ description: 'The consumer group that gave up.' }),
  topic: z.string(),
  partition: z.int(),
  offset: z.string(),
  key: z.string().nullable().meta({ description: 'Its text, or `base64:` and its bytes.' }),
  tenant_id: uuid
    .nullable()
    .meta({ description: 'Null when it cannot be believed: then it is the operator’s alone.' }),
  event_id: z.string().nullable(),
  event_type: z.string().nullable(),
  ...error,
  fingerprint: z.string(),
  attempt_count: z.int().meta({ description: 'How often it was tried, replays included.' }),
  version: z.int(),
  source: z.enum(['ragline', 'spring', 'connect', 'streams', 'share', 'unknown']),
  first_failed_at: timestamp,
  failed_at: timestamp,
  kept_at: timestamp,
  updated_at: timestamp,
  replaying_since: timestamp.nullable(),
  resolved_at: timestamp.nullable(),
  discarded_at: timestamp.nullable(),
  discard_reason: z.string().nullable(),
  edited_from: z.string().nullable().meta({ description: 'The event id that it had before it was edited.' }),
  batch_id: uuid.nullable(),
};

export const summaryShape = z.object(summary).meta({ id: 'DeadLetterSummary', examples: [summaryExample] });

const why = z
  .object({
    algorithm: z.int(),
    group: z.string(),
    event_type: z.string().nullable(),
    error_class: z.string().nullable(),
    message: z
      .string()
      .meta({ description: 'The error message without ids, numbers, times and quoted texts.' }),
    frame: z
      .string()
      .nullable()
      .meta({ description: 'The first frame of the stack that is the application’s own.' }),
  })
  .meta({ id: 'DeadLetterWhy', description: 'What the fingerprint is made of.' });

const headerValue = z.union([z.string(), z.object({ base64: z.string() })]);

export const letterShape = z
  .object({
    ...summary,
    schema_id: z.int().nullable(),
    value: z.unknown().meta({ description: 'Decoded by its writer’s schema; null when it cannot be.' }),
    raw: z.string().nullable().meta({ description: 'The value’s bytes in base64.' }),
    headers: z.record(z.string(), z.union([headerValue, z.array(headerValue)])),
    error_stack: z.string().nullable(),
    attempts: z.array(
      z.object({
        attempt: z.int(),
        failed_at: timestamp,
        ...error,
        error_stack: z.string().nullable(),
        by: z.enum(['tiers', 'replay']),
      }),
    ),
    notes: z.array(z.object({ id: uuid, user_id: uuid, text: z.string(), at: timestamp })),
    actions: z
      .array(
        z.object({
          id: uuid,
          at: timestamp,
          user_id: uuid.nullable(),
          verb: z.string(),
          detail: z.unknown(),
        }),
      )
      .optional()
      .meta({ description: 'What people did to it, oldest first; not in exports.' }),
    decode_error: z.string().nullable(),
    group_why: why,
    parked_record: z.string().nullable(),
    inbox_id: z.string().nullable(),
    original_timestamp: timestamp.nullable(),
    dead_letter_topic: z.object({ topic: z.string(), partition: z.int(), offset: z.string() }),
  })
  .meta({ id: 'DeadLetter', examples: [letterExample] });

const byState = z.object({ waiting: z.int(), replaying: z.int(), resolved: z.int(), discarded: z.int() });

export const groupShape = z
  .object({
    fingerprint: z.string(),
    group: z.string(),
    count: z.int(),
    states: byState,
    first_seen: timestamp,
    last_seen: timestamp,
    why: why.nullable(),
    sample: summaryShape
      .nullable()
      .meta({ description: 'One letter of the group; null when it has just been forgotten.' }),
  })
  .meta({ id: 'DeadLetterGroup', examples: [groupExample] });

const counts = z.record(z.string(), z.int());

export const statsShape = z
  .object({
    total: z.int(),
    states: byState,
    groups: z.array(
      z.object({ group: z.string(), states: byState, oldest_waiting_at: timestamp.nullable() }),
    ),
    error_codes: z.array(z.object({ error_code: z.string(), count: z.int() })),
    oldest_waiting_at: timestamp.nullable(),
    oldest_age_s: z.number().nullable(),
    rates: z
      .object({ last_5_minutes: counts, last_hour: counts, last_day: counts })
      .meta({ description: 'kept, failed_again, replaying, resolved, discarded, restored.' }),
    manual_interventions: z
      .object({ last_hour: counts, last_day: counts, last_week: counts })
      .meta({ description: 'What people did, by verb.' }),
  })
  .meta({ id: 'DeadLetterStats', examples: [statsExample] });
