-- Thousands of letters a second: a step over many records goes from what it was given to each row by its key, in this
-- order, whatever the planner takes tables and arrays for. Every lookup is a LATERAL that cannot be pulled up (OFFSET 0).

-- Begins attempts at heads of several lines in one transaction: those that are still what was read, and due; fresh:
-- they were not handled before. No two with the same inbox id. One that somebody holds is left for the next time.
CREATE OR REPLACE FUNCTION streams.attempt_all(p_group text, p_topic text, p_partition int, p_epoch bigint, p_records bigint[],
                                               p_lines bigint[], p_inbox_ids text[], p_attempts int[])
  RETURNS TABLE (record_id bigint, fresh boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  held bigint[];
  tried int[];
  heads bigint[];
  ids text[];
  taken text[];
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  SELECT array_agg(l.id), array_agg(l.attempt) INTO held, tried FROM (
    SELECT r.id, a.attempt FROM unnest(p_records, p_lines, p_inbox_ids, p_attempts) AS a (record, line, inbox_id, attempt)
     CROSS JOIN LATERAL (
           SELECT q.id FROM streams.parked_record q
            WHERE q.id = a.record AND q.parked_id = a.line AND q.inbox_id = a.inbox_id FOR UPDATE SKIP LOCKED) AS r) AS l;
  -- Looked at by a statement of its own, that sees what was committed before the locks were had.
  SELECT array_agg(r.id), array_agg(r.inbox_id) INTO heads, ids
    FROM unnest(held, tried) AS a (record, attempt)
   CROSS JOIN LATERAL (SELECT q.id, q.parked_id, q.inbox_id, q."offset" FROM streams.parked_record q WHERE q.id = a.record OFFSET 0) AS r
   CROSS JOIN LATERAL (
         SELECT q.group_id, q.topic, q.partition, q.attempt, q.not_before FROM streams.parked_key q WHERE q.id = r.parked_id OFFSET 0) AS k
   WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition
     AND k.attempt = a.attempt AND k.not_before <= clock_timestamp()
     AND (SELECT b."offset" FROM streams.parked_record b WHERE b.parked_id = r.parked_id ORDER BY b."offset" LIMIT 1) = r."offset";
  WITH claimed AS (
    INSERT INTO streams.inbox (group_id, inbox_id, outcome)
    SELECT p_group, h.id, 'handled' FROM unnest(ids) AS h (id) ORDER BY h.id
    ON CONFLICT DO NOTHING RETURNING inbox_id)
  SELECT array_agg(c.inbox_id) INTO taken FROM claimed c;
  RETURN QUERY
    SELECT h.record, coalesce(h.inbox_id = ANY (taken), false) FROM unnest(heads, ids) AS h (record, inbox_id);
END $$;

-- Ends those attempts: the heads leave their lines; the lines that are gone. Only after streams.attempt_all in the same
-- transaction, for what it gave.
CREATE OR REPLACE FUNCTION streams.leave_all(p_group text, p_records bigint[]) RETURNS bigint[]
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  lines bigint[];
  ending bigint[];
  going bigint[];
  sizes int[];
BEGIN
  PERFORM streams.require_group(p_group);
  -- Closed by whoever has handled them, in this transaction or before: nothing else may take a record out here.
  SELECT array_agg(r.parked_id) INTO lines
    FROM unnest(p_records) AS a (record)
   CROSS JOIN LATERAL (SELECT q.parked_id, q.inbox_id, q."offset" FROM streams.parked_record q WHERE q.id = a.record OFFSET 0) AS r
   WHERE (SELECT k.group_id FROM streams.parked_key k WHERE k.id = r.parked_id) = p_group
     AND (SELECT true FROM streams.inbox i WHERE i.group_id = p_group AND i.inbox_id = r.inbox_id)
     AND (SELECT b."offset" FROM streams.parked_record b WHERE b.parked_id = r.parked_id ORDER BY b."offset" LIMIT 1) = r."offset";
  IF coalesce(cardinality(lines), 0) <> cardinality(p_records) THEN
    RAISE no_data_found USING MESSAGE = format('records of group %s are not being tried', p_group);
  END IF;
  -- Emptiness is judged under the lines' locks, never before: a follower may be on its way.
  SELECT coalesce(array_agg(l.id) FILTER (WHERE l.depth = 1), '{}') INTO ending
    FROM (SELECT k.id, k.depth FROM streams.parked_key k WHERE k.id = ANY (lines) ORDER BY k.id FOR UPDATE) AS l;
  WITH gone AS (DELETE FROM streams.parked_record r WHERE r.id = ANY (p_records) RETURNING r.parked_id, r.bytes)
  SELECT array_agg(g.parked_id), array_agg(g.bytes) INTO going, sizes FROM gone g WHERE g.parked_id <> ALL (ending);
  UPDATE streams.parked_key k
     SET depth = k.depth - 1, bytes = k.bytes - sizes[array_position(going, k.id)], attempt = 0, not_before = clock_timestamp(),
         tenant_id = (SELECT h.tenant_id FROM streams.parked_record h WHERE h.parked_id = k.id ORDER BY h."offset" LIMIT 1)
   WHERE k.id = ANY (going);
  DELETE FROM streams.parked_key k WHERE k.id = ANY (ending);
  RETURN ending;
END $$;

-- Marks what was produced. A record that somebody holds is left for the next time: the others do not wait for it.
CREATE OR REPLACE FUNCTION streams.announced(p_group text, p_topic text, p_partition int, p_epoch bigint, p_records bigint[], p_deaths int[])
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  free bigint[];
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  SELECT array_agg(r.id) INTO free
    FROM unnest(p_records) AS a (record)
   CROSS JOIN LATERAL (
         SELECT q.id FROM streams.parked_record q WHERE q.id = a.record AND q.group_id = p_group FOR UPDATE SKIP LOCKED) AS r;
  UPDATE streams.parked_record r SET announced = greatest(r.announced, p_deaths[array_position(p_records, r.id)])
   WHERE r.id = ANY (free);
END $$;

-- The head is due now; its attempts stay, so that a dead one that fails is dead again at once. Those that nobody holds go
-- in three statements, whatever their number; the others one by one, each with some patience.
CREATE OR REPLACE FUNCTION streams.replay_parked(p_tenant uuid, p_records bigint[]) RETURNS TABLE (record_id bigint, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  free bigint[];
  lines bigint[];
  heads bigint[];
  due bigint[];
BEGIN
  PERFORM streams.require_operator();
  SELECT array_agg(r.id), array_agg(r.parked_id) INTO free, lines
    FROM unnest(p_records) AS a (record)
   CROSS JOIN LATERAL (
         SELECT q.id, q.parked_id FROM streams.parked_record q
          WHERE q.id = a.record AND (p_tenant IS NULL OR lower(q.tenant_id) = p_tenant::text) FOR UPDATE SKIP LOCKED) AS r;
  -- Those whose line nobody holds either.
  SELECT array_agg(a.record) INTO free
    FROM unnest(free, lines) AS a (record, line)
   CROSS JOIN LATERAL (SELECT q.id FROM streams.parked_key q WHERE q.id = a.line FOR UPDATE SKIP LOCKED) AS k;
  -- By a statement of its own, that sees what was committed before the locks were had.
  SELECT array_agg(r.id), array_agg(r.parked_id) INTO heads, due
    FROM unnest(free) AS a (record)
   CROSS JOIN LATERAL (SELECT q.id, q.parked_id, q."offset" FROM streams.parked_record q WHERE q.id = a.record OFFSET 0) AS r
   WHERE (SELECT b."offset" FROM streams.parked_record b WHERE b.parked_id = r.parked_id ORDER BY b."offset" LIMIT 1) = r."offset";
  UPDATE streams.parked_key k SET not_before = clock_timestamp() WHERE k.id = ANY (due);
  RETURN QUERY SELECT d.id, 'replaying' FROM unnest(heads) AS d (id);
  FOR record_id IN SELECT unnest(p_records) EXCEPT SELECT unnest(heads) ORDER BY 1 LOOP
    BEGIN
      status := streams.replay_one(p_tenant, record_id);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      status := 'busy';
      PERFORM streams.lose_patience();
    END;
    RETURN NEXT;
  END LOOP;
END $$;

-- What has become of records: dead (waits for an operator) | waiting (due, or behind its head) | gone, and then the
-- inbox's outcome, NULL when it has none. An element whose record is NULL asks the inbox alone.
CREATE OR REPLACE FUNCTION streams.fate(p_records bigint[], p_groups text[], p_inbox_ids text[])
  RETURNS TABLE (record_id bigint, state text, deaths int, attempt int, inbox_id text, error jsonb, outcome text, at timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM streams.require_operator();
  RETURN QUERY
    SELECT a.record_id,
           CASE WHEN r.id IS NULL THEN 'gone' WHEN r.is_dead THEN 'dead' ELSE 'waiting' END,
           r.deaths, r.attempt, coalesce(r.inbox_id, a.inbox_id), r.error, i.outcome, i.at
      FROM unnest(p_records, p_groups, p_inbox_ids) WITH ORDINALITY AS a (record_id, group_id, inbox_id, place)
      LEFT JOIN LATERAL (
           SELECT q.id, q.deaths, q.inbox_id, q.error, k.attempt,
                  k.not_before = 'infinity' AND q."offset" = (
                    SELECT b."offset" FROM streams.parked_record b WHERE b.parked_id = q.parked_id ORDER BY b."offset" LIMIT 1) AS is_dead
             FROM streams.parked_record q
            CROSS JOIN LATERAL (SELECT l.attempt, l.not_before FROM streams.parked_key l WHERE l.id = q.parked_id OFFSET 0) AS k
            WHERE q.id = a.record_id OFFSET 0) AS r ON true
      LEFT JOIN LATERAL (
           SELECT q.outcome, q.at FROM streams.inbox q
            WHERE r.id IS NULL AND q.group_id = a.group_id AND q.inbox_id = a.inbox_id OFFSET 0) AS i ON true
     ORDER BY a.place;
END $$;

-- What is looked for by q= has a table of its own: a letter changes its state three times, and its words never. In the
-- letter's row they were a third of what each change wrote, and their index another third.
CREATE TABLE dead_letters.letter_words (
  letter_id uuid PRIMARY KEY REFERENCES dead_letters.letter ON DELETE CASCADE,
  tenant_id uuid,
  -- Made by the service: Postgres' own parser cuts ids in pieces.
  words     tsvector NOT NULL
);
INSERT INTO dead_letters.letter_words SELECT id, tenant_id, search FROM dead_letters.letter;
ALTER TABLE dead_letters.letter DROP COLUMN search;
-- Every search reads the list of new entries whole, so it is kept short; without it an insert would pay for all at once.
CREATE INDEX letter_words_gin ON dead_letters.letter_words USING gin (words) WITH (gin_pending_list_limit = 1024);

ALTER TABLE dead_letters.letter_words ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON dead_letters.letter_words TO ragline_dead_letters
  USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
         OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'));
CREATE POLICY owner ON dead_letters.letter_words TO CURRENT_USER USING (true);
GRANT SELECT, INSERT, UPDATE ON dead_letters.letter_words TO ragline_dead_letters;

CREATE OR REPLACE FUNCTION dead_letters.find_words(p_tenant uuid, p_words tsquery, p_from uuid, p_before uuid, p_limit int)
  RETURNS SETOF uuid
  -- A GIN index is read by bitmap only, which its caller has switched off for walks; and one plan for all words would be
  -- one for words that many have.
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_bitmapscan = on SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  IF NOT coalesce(dead_letters.may_see(p_tenant), false) THEN
    RAISE insufficient_privilege USING MESSAGE = 'letters of another tenant';
  END IF;
  RETURN QUERY SELECT w.letter_id FROM dead_letters.letter_words w
    WHERE w.words @@ p_words AND w.letter_id >= p_from AND w.letter_id < p_before AND (p_tenant IS NULL OR w.tenant_id = p_tenant)
    LIMIT p_limit;
END $$;

-- What is under way is in none of the indexes of filters, but in one of its own: it is little, and gone after some seconds,
-- and whoever pages through a filter goes through all of it. So a replay writes these eleven once and not twice.
DROP INDEX dead_letters.letter_state, dead_letters.letter_group, dead_letters.letter_topic, dead_letters.letter_error_code,
  dead_letters.letter_fingerprint, dead_letters.letter_key, dead_letters.letter_tenant, dead_letters.letter_tenant_group,
  dead_letters.letter_tenant_topic, dead_letters.letter_tenant_error_code, dead_letters.letter_tenant_fingerprint;
CREATE INDEX letter_state ON dead_letters.letter (state, id) WHERE state <> 'replaying';
CREATE INDEX letter_group ON dead_letters.letter (group_id, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_topic ON dead_letters.letter (topic, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_error_code ON dead_letters.letter (error_code, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_fingerprint ON dead_letters.letter (fingerprint, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_key ON dead_letters.letter (key_hash, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_tenant ON dead_letters.letter (tenant_id, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_tenant_group ON dead_letters.letter (tenant_id, group_id, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_tenant_topic ON dead_letters.letter (tenant_id, topic, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_tenant_error_code ON dead_letters.letter (tenant_id, error_code, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_tenant_fingerprint ON dead_letters.letter (tenant_id, fingerprint, state, id) WHERE state <> 'replaying';
CREATE INDEX letter_under_way ON dead_letters.letter (id) WHERE state = 'replaying';

-- Planned when a table was nearly empty, a statement of these would go on reading it whole while thousands are parked.
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOR v_function IN
    SELECT p.oid FROM pg_proc p
     WHERE p.pronamespace = 'streams'::regnamespace
       AND p.proname IN ('park', 'append', 'attempt', 'leave', 'book_failure', 'assign', 'claim', 'close_inbox', 'parked_count',
                         'discard_parked', 'edit_parked', 'release_parked', 'restore_parked', 'close_unordered')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', v_function);
  END LOOP;
END $$;

-- Nobody asks for them: of a batch its items are asked, which are told by their numbers and are letters that differ, and
-- what is under way is little enough to be sorted.
DROP INDEX dead_letters.letter_batch, dead_letters.letter_replaying, dead_letters.batch_item_letter;

-- Nothing of the changed rows but what sums are made of: with all their columns a thousand letters would be megabytes.
CREATE OR REPLACE FUNCTION dead_letters.count_changed() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Only what a sum is made of: most updates change something else.
  INSERT INTO dead_letters.difference
    (tenant_id, group_id, error_code, fingerprint, state, letters, event, events, first_seen, last_seen, sample_id)
  WITH changed AS (
    SELECT o.tenant_id AS o_tenant, o.group_id AS o_group, coalesce(o.error_code, '') AS o_code, o.fingerprint AS o_print,
           o.state AS o_state, o.failed_at AS o_failed, n.id, n.tenant_id, n.group_id, coalesce(n.error_code, '') AS n_code,
           n.fingerprint, n.state, n.failed_at
      FROM old_rows o JOIN new_rows n ON n.id = o.id
     WHERE (o.tenant_id, o.group_id, o.error_code, o.fingerprint, o.state, o.attempts)
           IS DISTINCT FROM (n.tenant_id, n.group_id, n.error_code, n.fingerprint, n.state, n.attempts))
  SELECT o_tenant, o_group, o_code, o_print, o_state, -count(*), NULL, 0, min(o_failed), min(o_failed), (array_agg(id))[1]
    FROM changed GROUP BY 1, 2, 3, 4, 5
  UNION ALL
  SELECT tenant_id, group_id, n_code, fingerprint, state, count(*),
         CASE WHEN state = 'waiting' AND o_state = 'discarded' THEN 'restored'
              WHEN state = 'waiting' AND o_state = 'replaying' THEN 'failed_again'
              WHEN state <> o_state THEN state END,
         count(*), min(failed_at), max(failed_at), (array_agg(id))[1]
    FROM changed GROUP BY 1, 2, 3, 4, 5, 7;
  RETURN NULL;
END $$;
