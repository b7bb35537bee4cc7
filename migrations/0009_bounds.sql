-- What grows with what is parked gets a bound, and what is called twice does its work once.

-- A record knows its place, as its line does, so that one index answers for one partition whatever the others hold.
-- It never changes: a record goes to another line of the same partition only.
ALTER TABLE streams.parked_record ADD COLUMN group_id text, ADD COLUMN topic text, ADD COLUMN partition int;
UPDATE streams.parked_record r SET group_id = k.group_id, topic = k.topic, partition = k.partition
  FROM streams.parked_key k WHERE k.id = r.parked_id;
ALTER TABLE streams.parked_record
  ALTER COLUMN group_id SET NOT NULL, ALTER COLUMN topic SET NOT NULL, ALTER COLUMN partition SET NOT NULL;

CREATE FUNCTION streams.place_record() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT k.group_id, k.topic, k.partition INTO new.group_id, new.topic, new.partition
    FROM streams.parked_key k WHERE k.id = new.parked_id;
  RETURN new;
END $$;
CREATE TRIGGER place BEFORE INSERT ON streams.parked_record FOR EACH ROW EXECUTE FUNCTION streams.place_record();

DROP INDEX streams.parked_record_unannounced;
CREATE INDEX parked_record_unannounced ON streams.parked_record (group_id, topic, partition, id) WHERE announced < deaths;

-- What there is to do, for all partitions that a process owns at once. held: the epoch is still the lease's.
-- One probe of an index for each answer: an EXISTS could be hashed, and then reads all that is parked in the group; and
-- of announced < deaths there are no statistics, so that a scan that finds nothing looks cheap.
CREATE OR REPLACE FUNCTION streams.look(p_group text, p_topics text[], p_partitions int[], p_epochs bigint[])
  RETURNS TABLE (topic text, partition int, epoch bigint, held boolean, due boolean, unannounced boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    SELECT p.topic, p.partition, p.epoch,
           (SELECT true FROM streams.lease l
             WHERE l.group_id = p_group AND l.topic = p.topic AND l.partition = p.partition AND l.epoch = p.epoch) IS NOT NULL,
           (SELECT true FROM streams.parked_key k
             WHERE k.group_id = p_group AND k.topic = p.topic AND k.partition = p.partition AND k.not_before <= now()
             LIMIT 1) IS NOT NULL,
           (SELECT true FROM streams.parked_record r
             WHERE r.group_id = p_group AND r.topic = p.topic AND r.partition = p.partition AND r.announced < r.deaths
             LIMIT 1) IS NOT NULL
      FROM unnest(p_topics, p_partitions, p_epochs) AS p (topic, partition, epoch);
END $$;

-- Dead records that Kafka has not been told of, as many as a process may hold at once. Read in the index's order, which
-- is the oldest first; asked for by ORDER BY, that of all records could be taken for the shorter way.
CREATE OR REPLACE FUNCTION streams.unannounced(p_group text, p_topic text, p_partition int, p_limit int)
  RETURNS TABLE (record_id bigint, key bytea, "offset" bigint, inbox_id text, event_id text, tenant_id text, value bytea,
                 headers jsonb, stamped_at bigint, deaths int, error jsonb, first_failed_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    WITH waiting AS MATERIALIZED (
           SELECT w.id, w.bytes FROM streams.parked_record w
            WHERE w.group_id = p_group AND w.topic = p_topic AND w.partition = p_partition AND w.announced < w.deaths
            LIMIT p_limit),
         ours AS MATERIALIZED (SELECT w.id, sum(w.bytes) OVER (ORDER BY w.id) - w.bytes AS before FROM waiting w)
    SELECT r.id, k.key, r."offset", r.inbox_id, r.event_id, r.tenant_id, r.value, r.headers, r.stamped_at, r.deaths, r.error,
           r.first_failed_at
      FROM ours o JOIN streams.parked_record r ON r.id = o.id JOIN streams.parked_key k ON k.id = r.parked_id
     WHERE o.before < 4194304 ORDER BY r.id;
END $$;

-- How many records a partition has in its lines.
CREATE FUNCTION streams.parked_count(p_group text, p_topic text, p_partition int) RETURNS bigint
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN (SELECT coalesce(sum(k.depth), 0) FROM streams.parked_key k
           WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition);
END $$;

-- A line's tenant is its head's, so that a tenant's lines are found by an index.
UPDATE streams.parked_key k SET tenant_id = h.tenant_id
  FROM streams.parked_record h
 WHERE h.parked_id = k.id AND k.tenant_id IS DISTINCT FROM h.tenant_id
   AND NOT EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = k.id AND b."offset" < h."offset");
CREATE INDEX parked_key_tenant ON streams.parked_key (lower(tenant_id), id);

-- Takes a record, whose lock is held, out of its line, and the line with its last one. true: the line is gone.
-- p_to: the line that the record goes to; NULL: nowhere.
CREATE OR REPLACE FUNCTION streams.take_out(p_record bigint, p_line bigint, p_to bigint DEFAULT NULL) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place bigint;
  size int;
  in_line int;
  was_head boolean;
BEGIN
  -- Emptiness is judged under the line's lock, never before: a follower may be on its way.
  SELECT k.depth INTO STRICT in_line FROM streams.parked_key k WHERE k.id = p_line FOR UPDATE;
  SELECT r."offset", r.bytes INTO STRICT place, size FROM streams.parked_record r WHERE r.id = p_record AND r.parked_id = p_line;
  was_head := NOT EXISTS (SELECT FROM streams.parked_record r WHERE r.parked_id = p_line AND r."offset" < place);
  IF p_to IS NULL THEN
    DELETE FROM streams.parked_record r WHERE r.id = p_record;
  ELSE
    UPDATE streams.parked_record r SET parked_id = p_to WHERE r.id = p_record;
  END IF;
  IF in_line = 1 THEN
    DELETE FROM streams.parked_key k WHERE k.id = p_line;
    RETURN true;
  END IF;
  IF was_head THEN
    UPDATE streams.parked_key k
       SET depth = k.depth - 1, bytes = k.bytes - size, attempt = 0, not_before = clock_timestamp(),
           tenant_id = (SELECT h.tenant_id FROM streams.parked_record h WHERE h.parked_id = p_line ORDER BY h."offset" LIMIT 1)
     WHERE k.id = p_line;
  ELSE
    UPDATE streams.parked_key k SET depth = k.depth - 1, bytes = k.bytes - size WHERE k.id = p_line;
  END IF;
  RETURN false;
END $$;

-- Lines with their heads, by id. Planned for its values: without a tenant it goes along the ids, with one along its lines.
CREATE OR REPLACE FUNCTION streams.parked_lines(p_tenant uuid, p_group text, p_topic text, p_after bigint, p_limit int)
  RETURNS TABLE (id bigint, group_id text, topic text, partition int, key bytea, tenant_id text, since timestamptz, followers int,
                 attempt int, not_before timestamptz, detached boolean, head_record_id bigint, head_event_id text,
                 head_error jsonb, head_deaths int)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM streams.require_operator();
  RETURN QUERY
    SELECT k.id, k.group_id, k.topic, k.partition, k.key, h.tenant_id, k.parked_at, k.depth - 1, k.attempt, k.not_before, k.detached,
           h.id, h.event_id, h.error, h.deaths
      FROM streams.parked_key k
     CROSS JOIN LATERAL (SELECT * FROM streams.parked_record r WHERE r.parked_id = k.id ORDER BY r."offset" LIMIT 1) AS h
     WHERE k.id > coalesce(p_after, 0) AND (p_group IS NULL OR k.group_id = p_group) AND (p_topic IS NULL OR k.topic = p_topic)
       AND (p_tenant IS NULL OR lower(k.tenant_id) = p_tenant::text)
     ORDER BY k.id LIMIT p_limit;
END $$;

-- What was discarded comes back beside its line, dead and under the caller's new id; the closed id stays closed. The new
-- record's id, also when it is called again; NULL when the tenant is another's, or the id has been used up since.
DROP FUNCTION streams.restore_parked(uuid, text, text, int, bigint, bytea, uuid, text, bytea, jsonb, jsonb);
CREATE FUNCTION streams.restore_parked(p_tenant uuid, p_group text, p_topic text, p_partition int, p_offset bigint, p_key bytea,
                                       p_record_tenant uuid, p_event_id text, p_value bytea, p_headers jsonb, p_error jsonb,
                                       p_inbox_id text)
  RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  size int := streams.size_of(p_key, p_value, p_headers);
  line bigint;
  made bigint;
  whose text;
BEGIN
  PERFORM streams.require_operator();
  IF coalesce(p_inbox_id, '') = '' OR p_inbox_id = p_event_id THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a restored record needs an id of its own';
  END IF;
  IF p_tenant IS NOT NULL AND p_record_tenant IS DISTINCT FROM p_tenant THEN RETURN NULL; END IF;
  -- The first call's COMMIT may still be on its way.
  PERFORM pg_advisory_xact_lock(hashtextextended('ragline.park.' || p_group || ' ' || p_inbox_id, 0));
  SELECT r.id, r.tenant_id INTO made, whose FROM streams.parked_record r WHERE r.inbox_id = p_inbox_id AND r.group_id = p_group;
  IF FOUND THEN RETURN CASE WHEN lower(whose) IS NOT DISTINCT FROM p_record_tenant::text THEN made END; END IF;
  PERFORM FROM streams.inbox i WHERE i.group_id = p_group AND i.inbox_id = p_inbox_id;
  IF FOUND THEN RETURN NULL; END IF;
  line := streams.add_line(p_group, p_topic, p_partition, p_key, true, 0, 'infinity', p_offset, p_record_tenant::text, size);
  INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes,
                                     deaths, error, first_failed_at)
    VALUES (line, p_offset, p_inbox_id, p_event_id, p_record_tenant::text, p_value, p_headers,
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint, size, 1, p_error, clock_timestamp())
    RETURNING id INTO made;
  RETURN made;
END $$;

-- Whether what a letter says of its parked record is so: the record is, or was, that group's, at that place and under
-- that id. deaths: of one that is still there. In the order of what is asked.
CREATE FUNCTION streams.known_parked(p_records bigint[], p_groups text[], p_topics text[], p_partitions int[],
                                     p_offsets bigint[], p_inbox_ids text[])
  RETURNS TABLE (is_known boolean, deaths int)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- An id that was never given must not be taken by a letter: the record that gets it would find it taken.
  given bigint := (SELECT s.last_value FROM streams.parked_record_id_seq s WHERE s.is_called);
BEGIN
  PERFORM streams.require_operator();
  RETURN QUERY
    SELECT CASE WHEN r.id IS NULL THEN i.inbox_id IS NOT NULL AND coalesce(a.record_id <= given, false)
                ELSE r.group_id = a.group_id AND r.topic = a.topic AND r.partition = a.partition AND r."offset" = a.place
                     AND (r.inbox_id = a.inbox_id OR i.inbox_id IS NOT NULL) END,
           r.deaths
      FROM unnest(p_records, p_groups, p_topics, p_partitions, p_offsets, p_inbox_ids) WITH ORDINALITY
             AS a (record_id, group_id, topic, partition, place, inbox_id, at)
      LEFT JOIN streams.parked_record r ON r.id = a.record_id
      LEFT JOIN streams.inbox i ON i.group_id = a.group_id AND i.inbox_id = a.inbox_id
     ORDER BY a.at;
END $$;

REVOKE EXECUTE ON FUNCTION streams.place_record, streams.parked_count, streams.restore_parked, streams.known_parked FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.parked_count TO ragline_identity, ragline_orders, ragline_notifications, ragline_dead_letters;
GRANT EXECUTE ON FUNCTION streams.restore_parked, streams.known_parked TO ragline_dead_letters;
