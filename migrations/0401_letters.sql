-- Dead letters: what consumer groups gave up on, until a person decides.
--
-- Who sees what: a transaction is either a tenant's (ragline.tenant_id: an administrator) or the operator's
-- (ragline.scope = 'operator': also the consumer and the sweepers, which work for all). A letter whose tenant cannot be
-- believed has none, and is the operator's alone.

CREATE FUNCTION dead_letters.may_see(p_tenant uuid) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN p_tenant = nullif(current_setting('ragline.tenant_id', true), '')::uuid
      OR coalesce(current_setting('ragline.scope', true), '') = 'operator';
REVOKE EXECUTE ON FUNCTION dead_letters.may_see FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dead_letters.may_see TO ragline_dead_letters;

CREATE TABLE dead_letters.letter (
  -- UUIDv7: its time is kept_at, so a range of times is a range of ids, in every index below.
  id                uuid PRIMARY KEY,
  state             text NOT NULL CHECK (state IN ('waiting', 'replaying', 'resolved', 'discarded')),
  group_id          text NOT NULL,
  topic             text NOT NULL,
  partition         int NOT NULL,
  "offset"          bigint NOT NULL,
  -- Of groups that keep order: the record's id in streams.parked_record. Restoring a letter changes it.
  parked_record     bigint,
  deaths            int NOT NULL DEFAULT 1,
  -- Where there is one letter: the parked record, else the address. Derived, so that it cannot be forgotten in an update.
  identity          text NOT NULL UNIQUE GENERATED ALWAYS AS (
    CASE WHEN parked_record IS NULL THEN group_id || '/' || topic || '/' || partition::text || '/' || "offset"::text
         ELSE group_id || '#' || parked_record::text END) STORED,
  inbox_id          text,
  key               bytea,
  -- Keys are bytes of any length; an index has room for neither.
  key_hash          text GENERATED ALWAYS AS (md5(key)) STORED,
  tenant_id         uuid,
  event_id          text,
  event_type        text,
  schema_id         bigint,
  value             bytea,
  -- As text: jsonb refuses NUL and half surrogate pairs, of which a letter may be full.
  decoded           json,
  -- Why decoded is null: an error code of the codec.
  decode_error      text,
  -- {name: {"t": text} | {"b": base64}, or an array of those where the record has the name several times}
  headers           jsonb NOT NULL,
  source            text NOT NULL CHECK (source IN ('ragline', 'spring', 'connect', 'streams', 'share', 'unknown')),
  dlq_topic         text NOT NULL,
  dlq_partition     int NOT NULL,
  dlq_offset        bigint NOT NULL,
  original_timestamp timestamptz,
  -- Of the last attempt.
  error_code        text,
  error_class       text,
  error_message     text,
  error_stack       text,
  fingerprint       text NOT NULL,
  fingerprint_parts jsonb NOT NULL,
  -- How often it was tried, replays included, as the group counts.
  attempts          int NOT NULL,
  version           bigint NOT NULL DEFAULT 1,
  first_failed_at   timestamptz NOT NULL,
  failed_at         timestamptz NOT NULL,
  kept_at           timestamptz NOT NULL,
  updated_at        timestamptz NOT NULL,
  replaying_since   timestamptz,
  resolved_at       timestamptz,
  discarded_at      timestamptz,
  discard_reason    text,
  -- The event id that the letter had before it was edited.
  edited_from       text,
  batch_id          uuid,
  -- Words for q=, made by the service: Postgres' own parser cuts ids in pieces.
  search            tsvector NOT NULL
) WITH (fillfactor = 90);
COMMENT ON TABLE dead_letters.letter IS 'One row for each record that a consumer group gave up on.';

-- One index for each filter of the API, alone and within a tenant. State comes before the id: a page of one state is one
-- range, a page of all states is four that are merged. So no page reads more rows than it shows.
CREATE INDEX letter_state ON dead_letters.letter (state, id);
CREATE INDEX letter_group ON dead_letters.letter (group_id, state, id);
CREATE INDEX letter_topic ON dead_letters.letter (topic, state, id);
CREATE INDEX letter_error_code ON dead_letters.letter (error_code, state, id);
CREATE INDEX letter_fingerprint ON dead_letters.letter (fingerprint, state, id);
CREATE INDEX letter_key ON dead_letters.letter (key_hash, state, id);
CREATE INDEX letter_tenant ON dead_letters.letter (tenant_id, state, id);
CREATE INDEX letter_tenant_group ON dead_letters.letter (tenant_id, group_id, state, id);
CREATE INDEX letter_tenant_topic ON dead_letters.letter (tenant_id, topic, state, id);
CREATE INDEX letter_tenant_error_code ON dead_letters.letter (tenant_id, error_code, state, id);
CREATE INDEX letter_tenant_fingerprint ON dead_letters.letter (tenant_id, fingerprint, state, id);
-- Every search reads the list of new entries whole, so it is kept short; without it an insert would pay for all at once.
CREATE INDEX letter_search ON dead_letters.letter USING gin (search) WITH (gin_pending_list_limit = 1024);
-- What is on its way, oldest first: asked every 200 ms.
CREATE INDEX letter_replaying ON dead_letters.letter (replaying_since, id) WHERE state = 'replaying';
CREATE INDEX letter_batch ON dead_letters.letter (batch_id, state) WHERE batch_id IS NOT NULL;

-- Each time it was given up: by the tiers (or the line) at first, then by replays.
CREATE TABLE dead_letters.attempt (
  letter_id     uuid NOT NULL REFERENCES dead_letters.letter ON DELETE CASCADE,
  number        int NOT NULL,
  tenant_id     uuid,
  -- As the group counts.
  attempt       int NOT NULL,
  failed_at     timestamptz NOT NULL,
  error_code    text,
  error_class   text,
  error_message text,
  error_stack   text,
  by            text NOT NULL CHECK (by IN ('tiers', 'replay')),
  PRIMARY KEY (letter_id, number)
);

CREATE TABLE dead_letters.note (
  id        uuid PRIMARY KEY,
  letter_id uuid NOT NULL REFERENCES dead_letters.letter ON DELETE CASCADE,
  tenant_id uuid,
  user_id   uuid NOT NULL,
  text      text NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX note_letter ON dead_letters.note (letter_id, id);

-- What an edit changed; the letter itself has the present content.
CREATE TABLE dead_letters.edit (
  id               uuid PRIMARY KEY,
  letter_id        uuid NOT NULL REFERENCES dead_letters.letter ON DELETE CASCADE,
  tenant_id        uuid,
  user_id          uuid NOT NULL,
  at               timestamptz NOT NULL DEFAULT clock_timestamp(),
  event_id_before  text,
  event_id_after   text,
  value_before     bytea,
  value_after      bytea,
  headers_before   jsonb NOT NULL,
  headers_after    jsonb NOT NULL
);
CREATE INDEX edit_letter ON dead_letters.edit (letter_id, id);

-- Who did what: written in the transaction of the deed, never changed. Without a reference to the letter, which it outlives.
CREATE TABLE dead_letters.action (
  id              uuid PRIMARY KEY,
  at              timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor_user_id   uuid,
  actor_tenant_id uuid,
  verb            text NOT NULL,
  letter_id       uuid,
  batch_id        uuid,
  alert_id        uuid,
  group_id        text,
  -- Of the letter; null is the operator's alone.
  tenant_id       uuid,
  detail          jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX action_letter ON dead_letters.action (letter_id, id) WHERE letter_id IS NOT NULL;
CREATE INDEX action_tenant ON dead_letters.action (tenant_id, id);

-- Counters, so that nobody counts a million rows: each statement that changes letters leaves its differences here (no
-- contention: they are only added), and dead_letters.fold() sums them up, whoever reads the sums calls it before.
CREATE TABLE dead_letters.difference (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id   uuid,
  group_id    text NOT NULL,
  error_code  text NOT NULL,
  fingerprint text,
  state       text,
  letters     int NOT NULL DEFAULT 0,
  -- What happened, for the sums by minute; null when nothing is to be counted there.
  event       text,
  events      int NOT NULL DEFAULT 0,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  first_seen  timestamptz,
  last_seen   timestamptz,
  sample_id   uuid
);

-- Letters that failed alike, of each tenant and, under the nil UUID, of all together.
CREATE TABLE dead_letters.cause (
  tenant_id   uuid NOT NULL,
  fingerprint text NOT NULL,
  group_id    text NOT NULL,
  waiting     bigint NOT NULL,
  replaying   bigint NOT NULL,
  resolved    bigint NOT NULL,
  discarded   bigint NOT NULL,
  first_seen  timestamptz NOT NULL,
  last_seen   timestamptz NOT NULL,
  sample_id   uuid NOT NULL,
  PRIMARY KEY (tenant_id, fingerprint)
);
CREATE INDEX cause_last_seen ON dead_letters.cause (tenant_id, last_seen, fingerprint);
CREATE INDEX cause_open ON dead_letters.cause (tenant_id, last_seen, fingerprint) WHERE waiting > 0;

-- Letters by group, error code and state.
CREATE TABLE dead_letters.tally (
  -- Null: letters without a tenant.
  tenant_id  uuid,
  group_id   text NOT NULL,
  error_code text NOT NULL,
  state      text NOT NULL,
  letters    bigint NOT NULL,
  UNIQUE NULLS NOT DISTINCT (tenant_id, group_id, error_code, state)
);

-- What happened in a minute, or, of days before, in an hour: kept, failed_again, replaying, resolved, discarded, restored; manual:<verb> for what
-- somebody did.
CREATE TABLE dead_letters.pace (
  tenant_id uuid,
  minute    timestamptz NOT NULL,
  group_id  text NOT NULL,
  event     text NOT NULL,
  events    bigint NOT NULL,
  UNIQUE NULLS NOT DISTINCT (minute, tenant_id, group_id, event)
);

CREATE FUNCTION dead_letters.count_new() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO dead_letters.difference
    (tenant_id, group_id, error_code, fingerprint, state, letters, event, events, first_seen, last_seen, sample_id)
  SELECT tenant_id, group_id, coalesce(error_code, ''), fingerprint, state, count(*), 'kept', count(*),
         min(failed_at), max(failed_at), (array_agg(id))[1]
    FROM new_rows GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;

CREATE FUNCTION dead_letters.count_changed() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Only what a sum is made of: most updates change something else.
  INSERT INTO dead_letters.difference
    (tenant_id, group_id, error_code, fingerprint, state, letters, event, events, first_seen, last_seen, sample_id)
  WITH changed AS (
    SELECT o.tenant_id AS o_tenant, o.group_id AS o_group, coalesce(o.error_code, '') AS o_code, o.fingerprint AS o_print,
           o.state AS o_state, o.failed_at AS o_failed, n.*, coalesce(n.error_code, '') AS n_code
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

CREATE FUNCTION dead_letters.count_gone() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO dead_letters.difference (tenant_id, group_id, error_code, fingerprint, state, letters, first_seen, last_seen, sample_id)
  SELECT tenant_id, group_id, coalesce(error_code, ''), fingerprint, state, -count(*), min(failed_at), min(failed_at), (array_agg(id))[1]
    FROM old_rows GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;

CREATE FUNCTION dead_letters.count_action() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO dead_letters.difference (tenant_id, group_id, error_code, event, events)
  SELECT tenant_id, coalesce(group_id, ''), '', 'manual:' || verb, count(*) FROM new_rows GROUP BY 1, 2, 4;
  RETURN NULL;
END $$;

CREATE TRIGGER count_new AFTER INSERT ON dead_letters.letter REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.count_new();
CREATE TRIGGER count_changed AFTER UPDATE ON dead_letters.letter REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.count_changed();
CREATE TRIGGER count_gone AFTER DELETE ON dead_letters.letter REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.count_gone();
CREATE TRIGGER count_action AFTER INSERT ON dead_letters.action REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION dead_letters.count_action();

-- Sums up to p_rows differences; how many there were. One at a time, and the others wait: they read the sums next.
CREATE FUNCTION dead_letters.fold(p_rows int DEFAULT 10000) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_all constant uuid := '00000000-0000-0000-0000-000000000000';
  v_rows dead_letters.difference[];
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ragline.dead_letters.fold', 0));
  WITH taken AS (
    DELETE FROM dead_letters.difference WHERE id = ANY (ARRAY(SELECT id FROM dead_letters.difference ORDER BY id LIMIT p_rows))
    RETURNING difference)
  SELECT array_agg(taken.difference) INTO v_rows FROM taken;
  IF v_rows IS NULL THEN
    RETURN 0;
  END IF;

  INSERT INTO dead_letters.cause AS c
  SELECT scope, d.fingerprint, min(d.group_id),
         coalesce(sum(letters) FILTER (WHERE state = 'waiting'), 0), coalesce(sum(letters) FILTER (WHERE state = 'replaying'), 0),
         coalesce(sum(letters) FILTER (WHERE state = 'resolved'), 0), coalesce(sum(letters) FILTER (WHERE state = 'discarded'), 0),
         min(d.first_seen), max(d.last_seen), (array_agg(d.sample_id ORDER BY letters > 0 DESC, d.id DESC))[1]
    FROM unnest(v_rows) d, LATERAL (SELECT v_all AS scope UNION ALL SELECT d.tenant_id WHERE d.tenant_id IS NOT NULL) s
   WHERE d.fingerprint IS NOT NULL
   GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET
    waiting = c.waiting + excluded.waiting, replaying = c.replaying + excluded.replaying,
    resolved = c.resolved + excluded.resolved, discarded = c.discarded + excluded.discarded,
    first_seen = least(c.first_seen, excluded.first_seen), last_seen = greatest(c.last_seen, excluded.last_seen),
    sample_id = CASE WHEN excluded.waiting + excluded.replaying + excluded.resolved + excluded.discarded > 0
                     THEN excluded.sample_id ELSE c.sample_id END;
  DELETE FROM dead_letters.cause c USING (SELECT DISTINCT fingerprint FROM unnest(v_rows) WHERE letters < 0) d
   WHERE c.fingerprint = d.fingerprint
     AND c.tenant_id = ANY (ARRAY(SELECT v_all UNION SELECT tenant_id FROM unnest(v_rows)))
     AND c.waiting + c.replaying + c.resolved + c.discarded <= 0;

  INSERT INTO dead_letters.tally AS t
  SELECT tenant_id, group_id, error_code, state, sum(letters) FROM unnest(v_rows)
   WHERE state IS NOT NULL GROUP BY 1, 2, 3, 4
  ON CONFLICT (tenant_id, group_id, error_code, state) DO UPDATE SET letters = t.letters + excluded.letters;
  DELETE FROM dead_letters.tally WHERE letters <= 0;

  INSERT INTO dead_letters.pace AS p
  SELECT tenant_id, date_trunc('minute', at, 'UTC'), group_id, event, sum(events) FROM unnest(v_rows)
   WHERE event IS NOT NULL GROUP BY 1, 2, 3, 4
  ON CONFLICT (minute, tenant_id, group_id, event) DO UPDATE SET events = p.events + excluded.events;
  RETURN cardinality(v_rows);
END $$;

-- Ids of letters that have the words, for q=: @@ is not leakproof, so that under row-level security its index would not
-- be asked. The newest ones are not promised: whoever gets p_limit of them walks the table in its order instead.
CREATE FUNCTION dead_letters.find_words(p_tenant uuid, p_words tsquery, p_from uuid, p_before uuid, p_limit int)
  RETURNS SETOF uuid
  -- A GIN index is read by bitmap only, which its caller has switched off for walks; and one plan for all words would be
  -- one for words that many have.
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_bitmapscan = on SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  IF NOT coalesce(dead_letters.may_see(p_tenant), false) THEN
    RAISE insufficient_privilege USING MESSAGE = 'letters of another tenant';
  END IF;
  RETURN QUERY SELECT l.id FROM dead_letters.letter l
    WHERE l.search @@ p_words AND l.id >= p_from AND l.id < p_before AND (p_tenant IS NULL OR l.tenant_id = p_tenant)
    LIMIT p_limit;
END $$;

-- Forgets up to p_rows letters that were kept more than p_days ago, with their attempts, notes and edits; how many.
-- Whatever its state: what is parked stays parked. The audit, dead_letters.action, is never pruned: who did what outlives
-- what it was done to.
CREATE FUNCTION dead_letters.prune_letters(p_days int, p_rows int DEFAULT 1000) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- A UUIDv7 begins with its milliseconds.
  v_before constant uuid := (lpad(to_hex(floor(extract(epoch FROM clock_timestamp() - make_interval(days => p_days)) * 1000)::bigint), 12, '0')
                             || '00000000000000000000')::uuid;
  v_pruned int;
BEGIN
  IF p_days < 1 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'letters are kept for at least a day';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.dead_letters.prune', 0)) THEN
    RETURN 0;
  END IF;
  DELETE FROM dead_letters.letter WHERE id = ANY (ARRAY(
    SELECT id FROM dead_letters.letter WHERE id < v_before ORDER BY id LIMIT p_rows FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_pruned = ROW_COUNT;
  RETURN v_pruned;
END $$;

-- Of up to p_rows rows of dead_letters.pace: minutes that are over for a day become hours, what is older than eight days
-- goes; how many they were. A week is read whole for statistics, so it is kept short.
CREATE FUNCTION dead_letters.tidy_pace(p_rows int DEFAULT 10000) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_old constant timestamptz := clock_timestamp() - interval '8 days';
  v_tidied int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.dead_letters.tidy_pace', 0)) THEN
    RETURN 0;
  END IF;
  WITH taken AS (
    DELETE FROM dead_letters.pace WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM dead_letters.pace
       WHERE minute < clock_timestamp() - interval '25 hours'
         AND (minute < v_old OR minute <> date_trunc('hour', minute, 'UTC'))
       LIMIT p_rows))
    RETURNING minute, tenant_id, group_id, event, events),
  hours AS (
    INSERT INTO dead_letters.pace AS p (minute, tenant_id, group_id, event, events)
    SELECT date_trunc('hour', minute, 'UTC'), tenant_id, group_id, event, sum(events) FROM taken
     WHERE minute >= v_old GROUP BY 1, 2, 3, 4
    ON CONFLICT (minute, tenant_id, group_id, event) DO UPDATE SET events = p.events + excluded.events)
  SELECT count(*) INTO v_tidied FROM taken;
  RETURN v_tidied;
END $$;

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['letter', 'attempt', 'note', 'edit', 'action', 'cause', 'tally', 'pace', 'difference'] LOOP
    EXECUTE format('ALTER TABLE dead_letters.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    -- As subqueries, which are asked once and not for each row. And the planner takes a comparison of settings for one that
    -- hardly any row passes, so that it would rather sort a table than read a page off an index.
    EXECUTE format($sql$CREATE POLICY scope ON dead_letters.%I TO ragline_dead_letters
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
             OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON dead_letters.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;
-- The outbox of this service: one statement writes events of several tenants.
CREATE POLICY operator ON dead_letters.outbox TO ragline_dead_letters
  USING (coalesce(current_setting('ragline.scope', true), '') = 'operator');
CREATE POLICY owner_reads ON dead_letters.outbox FOR SELECT TO CURRENT_USER USING (true);

GRANT SELECT, INSERT, UPDATE ON dead_letters.letter TO ragline_dead_letters;
GRANT SELECT, INSERT ON dead_letters.attempt, dead_letters.note, dead_letters.edit, dead_letters.action TO ragline_dead_letters;
GRANT SELECT ON dead_letters.cause, dead_letters.tally, dead_letters.pace TO ragline_dead_letters;

REVOKE EXECUTE ON FUNCTION dead_letters.count_new, dead_letters.count_changed, dead_letters.count_gone, dead_letters.count_action,
  dead_letters.fold, dead_letters.find_words, dead_letters.prune_letters, dead_letters.tidy_pace FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dead_letters.fold, dead_letters.find_words, dead_letters.prune_letters, dead_letters.tidy_pace
  TO ragline_dead_letters;
