/** What the OpenAPI document shows: an order's event that a group could not read, until it was replayed with others. */

const id = '0199d2f4-7a17-7c3e-9b51-6f0d8a2c4e17';
const tenant_id = '0199c0de-0000-7000-8000-000000000001';
const user_id = '0199c0de-0000-7000-8000-000000000005';
const event_id = '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17';
const at = '2026-11-23T09:30:00.000Z';
const error = {
  error_code: 'schema_unknown',
  error_class: 'PermanentError',
  error_message: 'The registry has no schema 7',
};

export const summaryExample = {
  ...{ id, state: 'waiting', group: 'notifications', topic: 'orders.v1', partition: 3, offset: '41' },
  ...{ key: '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17', tenant_id, event_id, event_type: 'order_created' },
  ...error,
  ...{ fingerprint: '1:5f2c9a', attempt_count: 1, version: 1, source: 'ragline' },
  ...{ first_failed_at: at, failed_at: at, kept_at: at, updated_at: at, replaying_since: null },
  ...{ resolved_at: null, discarded_at: null, discard_reason: null, edited_from: null, batch_id: null },
};

export const whyExample = {
  ...{ algorithm: 1, group: 'notifications', event_type: 'order_created', error_class: 'PermanentError' },
  ...{ message: 'The registry has no schema #', frame: 'decode (codec.ts)' },
};

export const letterExample = {
  ...summaryExample,
  ...{ schema_id: 7, value: null, raw: 'AAAAAAc=' },
  headers: { id: event_id, event_type: 'order_created', tenant_id },
  error_stack: null,
  attempts: [{ attempt: 1, failed_at: at, ...error, error_stack: null, by: 'tiers' }],
  notes: [{ id: '0199d2f4-7a18-7c3e-9b51-6f0d8a2c4e17', user_id, text: 'Registry was restored', at }],
  actions: [],
  ...{ decode_error: 'schema_unknown', group_why: whyExample, parked_record: null, inbox_id: null },
  original_timestamp: at,
  dead_letter_topic: { topic: 'notifications.dlq', partition: 3, offset: '0' },
};

export const letterEditExample = { note: 'The registry was restored', headers: { 'x-checked': 'yes' } };

const states = { waiting: 1, replaying: 0, resolved: 4, discarded: 0 };

export const groupExample = {
  ...{ fingerprint: '1:5f2c9a', group: 'notifications', count: 5, states, first_seen: at, last_seen: at },
  ...{ why: whyExample, sample: summaryExample },
};

export const statsExample = {
  ...{ total: 5, states, groups: [{ group: 'notifications', states, oldest_waiting_at: at }] },
  error_codes: [{ error_code: 'schema_unknown', count: 5 }],
  ...{ oldest_waiting_at: at, oldest_age_s: 84.2 },
  rates: { last_5_minutes: { kept: 1 }, last_hour: { kept: 5, resolved: 4 }, last_day: { kept: 5 } },
  manual_interventions: { last_hour: { replay: 4 }, last_day: { replay: 4 }, last_week: { replay: 4 } },
};

const batchId = '0199d2f5-1a10-7c3e-9b51-6f0d8a2c4e17';
const ways = {
  action: 'replay',
  reason: 'The registry is back',
  rate_per_s: 50,
  in_flight: 50,
  stop_on_failures: 3,
};
const filter = { state: 'waiting', group: 'notifications', error_code: 'schema_unknown' };

export const batchRequestExample = { filter, ...ways, ramp: [1, 10], delay_s: 10 };
export const batchExample = {
  ...{ id: batchId, state: 'running', state_reason: null, ...ways, ramp: [1, 10], selection: { filter } },
  ...{ tenant_id: null, user_id },
  counts: {
    selected: 5,
    pending: 1,
    sent: 4,
    in_flight: 1,
    resolved: 3,
    discarded: 0,
    failed: 0,
    skipped: 0,
  },
  ...{ starts_at: at, created_at: at, updated_at: at, finished_at: null },
};
export const unluckyExample = [{ letter_id: id, state: 'skipped', detail: 'already_handled' }];
export const dryRunExample = {
  counts: {
    ...{ total: 5, selected: 5, by_group: { notifications: 5 }, by_state: { waiting: 5 }, skipped: {} },
  },
};

export const parkedKeyExample = {
  ...{
    id: '17',
    group: 'notifications',
    topic: 'orders.v1',
    partition: 3,
    key: summaryExample.key,
    tenant_id,
  },
  ...{ since: at, followers: 2, detached: false },
  head: {
    ...{ event_id, dead_letter_id: id, attempt: 5, not_before: null, is_dead: true },
    ...{ error_code: error.error_code, error_message: error.error_message },
  },
};
