/** New letters as rows, each with its first attempt, in one statement. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import type { NewLetter } from './domain.ts';
import type { LetterState } from './letter.ts';

/** The ids of those that are new, by identity. */
export async function insert(
  client: Client,
  letters: readonly NewLetter[],
  states: readonly LetterState[],
): Promise<Map<string, string>> {
  const now = new Date();
  const column = <T>(of: (letter: NewLetter, index: number) => T): T[] => letters.map(of);
  const { rows } = await client.query<{ id: string; identity: string }>({
    name: 'dead_letters_keep',
    text: insertSql,
    values: [
      column(() => randomUUIDv7()),
      column((_, index) => states[index] ?? 'waiting'),
      column(({ group_id }) => group_id),
      column(({ topic }) => topic),
      column(({ partition }) => partition),
      column(({ offset }) => offset),
      column(({ parked_record }) => parked_record),
      column(({ deaths }) => deaths),
      column(({ inbox_id }) => inbox_id),
      column(({ key }) => key),
      column(({ tenant_id }) => tenant_id),
      column(({ event_id }) => event_id),
      column(({ event_type }) => event_type),
      column(({ schema_id }) => schema_id),
      column(({ value }) => value),
      column(({ decoded }) => decoded),
      column(({ decode_error }) => decode_error),
      column(({ headers }) => JSON.stringify(headers)),
      column(({ source }) => source),
      column(({ dlq_topic }) => dlq_topic),
      column(({ dlq_partition }) => dlq_partition),
      column(({ dlq_offset }) => dlq_offset),
      column(({ original_timestamp }) => original_timestamp),
      column(({ error_code }) => error_code),
      column(({ error_class }) => error_class),
      column(({ error_message }) => error_message),
      column(({ error_stack }) => error_stack),
      column(({ fingerprint }) => fingerprint),
      column(({ fingerprint_parts }) => JSON.stringify(fingerprint_parts)),
      column(({ attempts }) => attempts),
      column(({ first_failed_at }) => first_failed_at),
      column(({ failed_at }) => failed_at),
      column(({ words }) => JSON.stringify(words)),
      now,
    ],
  });
  return new Map(rows.map(({ id, identity }) => [identity, id]));
}

// The words come as JSON, since an array of arrays must be rectangular.
const insertSql = `
  WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::int[],
      $9::text[], $10::bytea[], $11::uuid[], $12::text[], $13::text[], $14::bigint[], $15::bytea[], $16::json[], $17::text[],
      $18::jsonb[], $19::text[], $20::text[], $21::int[], $22::bigint[], $23::timestamptz[], $24::text[], $25::text[],
      $26::text[], $27::text[], $28::text[], $29::jsonb[], $30::int[], $31::timestamptz[], $32::timestamptz[], $33::jsonb[])
      AS g (id, state, group_id, topic, partition, "offset", parked_record, deaths, inbox_id, key, tenant_id, event_id,
            event_type, schema_id, value, decoded, decode_error, headers, source, dlq_topic, dlq_partition, dlq_offset,
            original_timestamp, error_code, error_class, error_message, error_stack, fingerprint, fingerprint_parts,
            attempts, first_failed_at, failed_at, words)
  ), kept AS (
    INSERT INTO dead_letters.letter
      (id, state, group_id, topic, partition, "offset", parked_record, deaths, inbox_id, key, tenant_id, event_id, event_type,
       schema_id, value, decoded, decode_error, headers, source, dlq_topic, dlq_partition, dlq_offset, original_timestamp,
       error_code, error_class, error_message, error_stack, fingerprint, fingerprint_parts, attempts, first_failed_at,
       failed_at, kept_at, updated_at, resolved_at, discarded_at)
    SELECT id, state, group_id, topic, partition, "offset", parked_record, deaths, inbox_id, key, tenant_id, event_id, event_type,
           schema_id, value, decoded, decode_error, headers, source, dlq_topic, dlq_partition, dlq_offset, original_timestamp,
           error_code, error_class, error_message, error_stack, fingerprint, fingerprint_parts, attempts, first_failed_at,
           failed_at, $34::timestamptz, $34::timestamptz,
           CASE WHEN state = 'resolved' THEN $34::timestamptz END, CASE WHEN state = 'discarded' THEN $34::timestamptz END
      FROM given
     -- One order for all who insert, so that two of them cannot wait for each other.
     ORDER BY group_id, topic, partition, "offset", parked_record
    ON CONFLICT (identity) DO NOTHING
    RETURNING id, identity, tenant_id, attempts, failed_at, error_code, error_class, error_message, error_stack
  ), first_attempt AS (
    INSERT INTO dead_letters.attempt
      (letter_id, number, tenant_id, attempt, failed_at, error_code, error_class, error_message, error_stack, by)
    SELECT id, 1, tenant_id, attempts, failed_at, error_code, error_class, error_message, error_stack, 'tiers' FROM kept
  ), found_by AS (
    INSERT INTO dead_letters.letter_words (letter_id, tenant_id, words)
    SELECT k.id, k.tenant_id, array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(g.words)))
      FROM kept k JOIN given g ON g.id = k.id
  )
  SELECT id, identity FROM kept`;
