-- Keys that wait: a record that failed and those of its key that came after it, in order, until they are handled or
-- a person decides. Only the owner of a partition (the lease) adds and tries; operators change by single transactions.
--
-- Lock order everywhere: lease, record, inbox, the effect's tables, line. Whatever was read before is looked at again
-- under the lock: every function is VOLATILE, so that each of its statements sees what has been committed by then.
CREATE TABLE streams.lease (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  epoch bigint NOT NULL,
  owner text NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (group_id, topic, partition)
);

-- A line. Detached: a record without a place (released, restored, or it never had a key); nothing queues behind it.
CREATE TABLE streams.parked_key (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  group_id text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  key bytea,
  tenant_id text,
  detached boolean NOT NULL DEFAULT false,
  -- Failures of the present head.
  attempt int NOT NULL,
  -- When the head is due; infinity: dead, it waits for an operator.
  not_before timestamptz NOT NULL,
  -- The last offset kept; what is not above it is here or was handled.
  last_offset bigint NOT NULL,
  depth int NOT NULL CHECK (depth > 0),
  bytes bigint NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now()
);
-- With the partition: offsets of two partitions cannot be compared, and a producer may put a key into both. By its
-- hash: a key may be longer than an index entry.
CREATE UNIQUE INDEX parked_key_line ON streams.parked_key (group_id, topic, partition, sha256(key)) WHERE NOT detached;
CREATE INDEX parked_key_due ON streams.parked_key (group_id, topic, partition, not_before);

CREATE TABLE streams.parked_record (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- No cascade: a line that still has a record cannot go.
  parked_id bigint NOT NULL REFERENCES streams.parked_key,
  "offset" bigint NOT NULL,
  -- The same as event_id until an operator takes the record out of its place; at:topic/partition/offset for garbage.
  inbox_id text NOT NULL,
  event_id text NOT NULL,
  -- NULL where it is not believed; then it is the operator's alone.
  tenant_id text,
  value bytea,
  -- {name: {"t": text} | {"b": base64}}
  headers jsonb NOT NULL,
  -- Kafka's timestamp, milliseconds.
  stamped_at bigint NOT NULL,
  bytes int NOT NULL,
  deaths int NOT NULL DEFAULT 0,
  announced int NOT NULL DEFAULT 0,
  error jsonb,
  first_failed_at timestamptz,
  UNIQUE (parked_id, "offset")
);
CREATE INDEX parked_record_unannounced ON streams.parked_record (parked_id) WHERE announced < deaths;
CREATE INDEX parked_record_inbox_id ON streams.parked_record (inbox_id);

ALTER TABLE streams.parked_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE streams.parked_record ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- Nobody but the functions below comes here, and they check the tenant themselves.
CREATE POLICY owner ON streams.parked_key TO CURRENT_USER USING (true);
CREATE POLICY owner ON streams.parked_record TO CURRENT_USER USING (true);

-- Refuses who is not the owner any more, and holds off the next one until this transaction ends.
CREATE FUNCTION streams.fence(p_group text, p_topic text, p_partition int, p_epoch bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  PERFORM FROM streams.lease l
    WHERE l.group_id = p_group AND l.topic = p_topic AND l.partition = p_partition AND l.epoch = p_epoch FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'RL001',
      MESSAGE = format('%s/%s of group %s has another owner than epoch %s', p_topic, p_partition, p_group, p_epoch);
  END IF;
END $$;

-- Raises the lease, then loads what is parked: one row a line, and one with a null line when there is none.
CREATE FUNCTION streams.assign(p_group text, p_topic text, p_partition int, p_owner text)
  RETURNS TABLE (epoch bigint, records bigint, key bytea, line_id bigint)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  raised bigint;
BEGIN
  PERFORM streams.require_group(p_group);
  -- Waits for every transaction of the last owner that holds its share.
  INSERT INTO streams.lease AS l (group_id, topic, partition, epoch, owner) VALUES (p_group, p_topic, p_partition, 1, p_owner)
    ON CONFLICT (group_id, topic, partition)
    DO UPDATE SET epoch = l.epoch + 1, owner = excluded.owner, since = clock_timestamp()
    RETURNING l.epoch INTO raised;
  RETURN QUERY
    SELECT raised, coalesce(sum(k.depth) OVER (), 0)::bigint, CASE WHEN k.detached THEN NULL ELSE k.key END, CASE WHEN k.detached THEN NULL ELSE k.id END
      FROM (SELECT) AS one LEFT JOIN streams.parked_key k
        ON k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition;
END $$;

-- Fence and inbox in one statement; the ids that were not handled before.
CREATE FUNCTION streams.claim(p_group text, p_topic text, p_partition int, p_epoch bigint, p_inbox_ids text[])
  RETURNS SETOF text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  RETURN QUERY
    INSERT INTO streams.inbox (group_id, inbox_id, outcome)
    SELECT p_group, id, 'handled' FROM unnest(p_inbox_ids) AS id ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING inbox_id;
END $$;

CREATE FUNCTION streams.size_of(p_key bytea, p_value bytea, p_headers jsonb) RETURNS int
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(octet_length(p_key), 0) + coalesce(octet_length(p_value), 0) + octet_length(p_headers::text)
$$;

-- Adds a line with one record; the line's id.
CREATE FUNCTION streams.add_line(p_group text, p_topic text, p_partition int, p_key bytea, p_detached boolean, p_attempt int,
                                 p_not_before timestamptz, p_offset bigint, p_tenant text, p_bytes bigint)
  RETURNS bigint
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO streams.parked_key (group_id, topic, partition, key, tenant_id, detached, attempt, not_before, last_offset, depth, bytes)
  VALUES (p_group, p_topic, p_partition, p_key, p_tenant, p_detached, p_attempt, p_not_before, p_offset, 1, p_bytes)
  ON CONFLICT DO NOTHING RETURNING id
$$;

-- The record becomes the head of its key's line. p_delay_ms NULL: it is dead. p_skip: it leaves its place for a
-- detached line at once. A line_id of NULL: it was handled after all.
CREATE FUNCTION streams.park(p_group text, p_topic text, p_partition int, p_epoch bigint, p_offset bigint, p_key bytea,
                             p_tenant text, p_event_id text, p_inbox_id text, p_value bytea, p_headers jsonb,
                             p_stamped_at bigint, p_first_failed_at timestamptz, p_attempt int, p_delay_ms bigint,
                             p_skip boolean, p_error jsonb, OUT line_id bigint, OUT detached boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  line streams.parked_key;
  size int := streams.size_of(p_key, p_value, p_headers);
  due timestamptz := coalesce(clock_timestamp() + p_delay_ms * interval '1 millisecond', 'infinity');
  skips boolean := p_skip AND p_delay_ms IS NULL AND p_key IS NOT NULL;
  own_id text := p_inbox_id;
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  detached := p_key IS NULL OR skips;
  -- First the line, then the inbox: a head that an operator has edited is in both.
  IF p_key IS NULL THEN
    -- No line to wait at: the same step, sent again while its first COMMIT was still on its way, would park it twice.
    PERFORM pg_advisory_xact_lock(hashtextextended('ragline.park.' || p_group || ' ' || p_inbox_id, 0));
    SELECT k.id INTO line_id FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
      WHERE r.inbox_id = p_inbox_id AND r."offset" = p_offset AND k.group_id = p_group AND k.topic = p_topic
        AND k.partition = p_partition;
    IF FOUND THEN RETURN; END IF;
  ELSE
    SELECT * INTO line FROM streams.parked_key k
      WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition AND sha256(k.key) = sha256(p_key)
        AND NOT k.detached FOR UPDATE;
    IF FOUND AND p_offset <= line.last_offset THEN
      line_id := line.id;
      detached := false;
      RETURN;
    END IF;
  END IF;
  PERFORM FROM streams.inbox i WHERE i.group_id = p_group AND i.inbox_id = p_inbox_id;
  IF FOUND THEN RETURN; END IF;
  IF line.id IS NOT NULL THEN
    -- Its key is parked and the owner did not know: it queues, and its attempt is not counted.
    UPDATE streams.parked_key SET depth = depth + 1, bytes = bytes + size, last_offset = p_offset WHERE id = line.id;
    INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes)
      VALUES (line.id, p_offset, p_inbox_id, p_event_id, p_tenant, p_value, p_headers, p_stamped_at, size);
    line_id := line.id;
    detached := false;
    RETURN;
  END IF;
  IF skips THEN
    INSERT INTO streams.inbox (group_id, inbox_id, outcome) VALUES (p_group, p_inbox_id, 'released');
    own_id := gen_random_uuid();
  END IF;
  line_id := streams.add_line(p_group, p_topic, p_partition, p_key, detached, p_attempt, due, p_offset, p_tenant, size);
  INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes,
                                     deaths, error, first_failed_at)
    VALUES (line_id, p_offset, own_id, p_event_id, p_tenant, p_value, p_headers, p_stamped_at, size,
            CASE WHEN p_delay_ms IS NULL THEN 1 ELSE 0 END, p_error, p_first_failed_at);
END $$;

-- Records of one key queue behind its head, in their order: for each kept | kept already | gone | full. Behind one that
-- is full none is kept: it would be taken for handled when it comes again.
-- p_partition_records is NULL where the partition is known to have room.
CREATE FUNCTION streams.append(p_group text, p_topic text, p_partition int, p_epoch bigint, p_key bytea, p_offsets bigint[],
                               p_tenants text[], p_event_ids text[], p_inbox_ids text[], p_values bytea[], p_headers jsonb[],
                               p_stamped_at bigint[], p_line_records int, p_line_bytes bigint, p_partition_records bigint)
  RETURNS text[]
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  line streams.parked_key;
  statuses text[] := '{}';
  status text;
  size int;
  room bigint;
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  SELECT * INTO line FROM streams.parked_key k
    WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition AND sha256(k.key) = sha256(p_key)
      AND NOT k.detached FOR UPDATE;
  IF NOT FOUND THEN RETURN array_fill('gone'::text, ARRAY[cardinality(p_offsets)]); END IF;
  IF p_partition_records IS NOT NULL THEN
    SELECT p_partition_records - sum(k.depth) INTO room FROM streams.parked_key k
      WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition;
  END IF;
  FOR i IN 1..cardinality(p_offsets) LOOP
    size := streams.size_of(p_key, p_values[i], p_headers[i]);
    IF status = 'full' THEN
      NULL;
    ELSIF p_offsets[i] <= line.last_offset THEN
      status := 'kept already';
    ELSIF line.depth >= p_line_records OR line.bytes + size > p_line_bytes OR room <= 0 THEN
      status := 'full';
    ELSE
      status := 'kept';
      INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes)
        VALUES (line.id, p_offsets[i], p_inbox_ids[i], p_event_ids[i], p_tenants[i], p_values[i], p_headers[i], p_stamped_at[i], size);
      line.depth := line.depth + 1;
      line.bytes := line.bytes + size;
      line.last_offset := p_offsets[i];
      room := room - 1;
    END IF;
    statuses := statuses || status;
  END LOOP;
  UPDATE streams.parked_key k SET depth = line.depth, bytes = line.bytes, last_offset = line.last_offset
    WHERE k.id = line.id AND k.last_offset < line.last_offset;
  RETURN statuses;
END $$;

-- What there is to do, for all partitions that a process owns at once. held: the epoch is still the lease's.
CREATE FUNCTION streams.look(p_group text, p_topics text[], p_partitions int[], p_epochs bigint[])
  RETURNS TABLE (topic text, partition int, epoch bigint, held boolean, due boolean, unannounced boolean)
  -- Its plan for any values goes through all that is unannounced once for each partition.
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    WITH waiting AS MATERIALIZED (
      SELECT DISTINCT k.topic, k.partition FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
       WHERE r.announced < r.deaths AND k.group_id = p_group)
    SELECT p.topic, p.partition, p.epoch,
           EXISTS (SELECT FROM streams.lease l
                    WHERE l.group_id = p_group AND l.topic = p.topic AND l.partition = p.partition AND l.epoch = p.epoch),
           EXISTS (SELECT FROM streams.parked_key k
                    WHERE k.group_id = p_group AND k.topic = p.topic AND k.partition = p.partition AND k.not_before <= now()),
           EXISTS (SELECT FROM waiting w WHERE w.topic = p.topic AND w.partition = p.partition)
      FROM unnest(p_topics, p_partitions, p_epochs) AS p (topic, partition, epoch);
END $$;

-- Heads that are due, longest first, each with followers behind it as long as they are small together.
CREATE FUNCTION streams.due(p_group text, p_topic text, p_partition int, p_lines int, p_each int, p_bytes int DEFAULT 262144)
  RETURNS TABLE (line_id bigint, key bytea, detached boolean, attempt int, not_before timestamptz, record_id bigint,
                 "offset" bigint, inbox_id text, event_id text, tenant_id text, value bytea, headers jsonb, stamped_at bigint,
                 deaths int, first_failed_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    SELECT k.id, k.key, k.detached, CASE WHEN h.place = 1 THEN k.attempt ELSE 0 END, k.not_before, r.id, r."offset", r.inbox_id,
           r.event_id, r.tenant_id, r.value, r.headers, r.stamped_at, r.deaths, r.first_failed_at
      FROM (SELECT * FROM streams.parked_key l
             WHERE l.group_id = p_group AND l.topic = p_topic AND l.partition = p_partition AND l.not_before <= now()
             ORDER BY l.not_before LIMIT p_lines) AS k
     CROSS JOIN LATERAL (
           SELECT q.id, row_number() OVER (ORDER BY q."offset") AS place, sum(q.bytes) OVER (ORDER BY q."offset") AS until
             FROM (SELECT s.id, s."offset", s.bytes FROM streams.parked_record s
                    WHERE s.parked_id = k.id ORDER BY s."offset" LIMIT p_each) AS q) AS h
      JOIN streams.parked_record r ON r.id = h.id
     WHERE h.place = 1 OR h.until <= p_bytes
     ORDER BY k.not_before, k.id, r."offset";
END $$;

-- Begins an attempt: fence, the record's lock, the claim. NULL: it is not what was read any more, or not due.
-- What changes a line's attempt or not_before holds the lock of its head before, so they are read without a lock.
CREATE FUNCTION streams.attempt(p_group text, p_topic text, p_partition int, p_epoch bigint, p_record bigint, p_line bigint,
                                p_inbox_id text, p_attempt int, p_inbox_ids text[])
  RETURNS text[]
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place bigint;
  fresh text[];
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  SELECT r."offset" INTO place FROM streams.parked_record r
    WHERE r.id = p_record AND r.parked_id = p_line AND r.inbox_id = p_inbox_id FOR UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM FROM streams.parked_key k
    WHERE k.id = p_line AND k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition
      AND k.attempt = p_attempt AND k.not_before <= clock_timestamp()
      AND NOT EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = p_line AND b."offset" < place);
  IF NOT FOUND THEN RETURN NULL; END IF;
  WITH claimed AS (
    INSERT INTO streams.inbox (group_id, inbox_id, outcome)
    SELECT p_group, id, 'handled' FROM unnest(p_inbox_ids) AS id ORDER BY id
    ON CONFLICT DO NOTHING RETURNING inbox_id)
  SELECT coalesce(array_agg(inbox_id), '{}') INTO fresh FROM claimed;
  RETURN fresh;
END $$;

-- Takes a record, whose lock is held, out of its line, and the line with its last one. true: the line is gone.
-- p_to: the line that the record goes to; NULL: nowhere.
CREATE FUNCTION streams.take_out(p_record bigint, p_line bigint, p_to bigint DEFAULT NULL) RETURNS boolean
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
  UPDATE streams.parked_key k
     SET depth = k.depth - 1, bytes = k.bytes - size,
         attempt = CASE WHEN was_head THEN 0 ELSE k.attempt END,
         not_before = CASE WHEN was_head THEN clock_timestamp() ELSE k.not_before END
   WHERE k.id = p_line;
  RETURN false;
END $$;

-- Ends an attempt that has succeeded: the record leaves its line. Only after streams.attempt in the same transaction.
CREATE FUNCTION streams.leave(p_group text, p_record bigint, p_line bigint, p_inbox_id text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  -- Closed by whoever has handled it, in this transaction or before: nothing else may take a record out here.
  PERFORM FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
          JOIN streams.inbox i ON i.group_id = k.group_id AND i.inbox_id = r.inbox_id
    WHERE r.id = p_record AND r.parked_id = p_line AND r.inbox_id = p_inbox_id AND k.group_id = p_group;
  IF NOT FOUND THEN
    RAISE no_data_found USING MESSAGE = format('record %s of group %s is not being tried', p_record, p_group);
  END IF;
  RETURN streams.take_out(p_record, p_line);
END $$;

-- The record goes to a detached line of its own, dead and under a new id; its lock and its inbox row are there.
CREATE FUNCTION streams.detach(p_record bigint, p_line bigint, p_attempt int, p_is_dying boolean, p_error jsonb) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  line streams.parked_key;
  it streams.parked_record;
  own bigint;
BEGIN
  SELECT * INTO STRICT line FROM streams.parked_key k WHERE k.id = p_line FOR UPDATE;
  SELECT * INTO STRICT it FROM streams.parked_record r WHERE r.id = p_record;
  own := streams.add_line(line.group_id, line.topic, line.partition, line.key, true, p_attempt, 'infinity', it."offset",
                          it.tenant_id, it.bytes);
  PERFORM streams.take_out(p_record, p_line, own);
  UPDATE streams.parked_record r
     SET inbox_id = gen_random_uuid(), deaths = r.deaths + CASE WHEN p_is_dying THEN 1 ELSE 0 END,
         error = coalesce(p_error, r.error), first_failed_at = coalesce(r.first_failed_at, clock_timestamp())
   WHERE r.id = p_record;
END $$;

-- Books a failure of the attempt after p_attempt ones: booked | moved. p_delay_ms NULL: it is dead. p_again: what it
-- needs is away, and the attempt is not counted.
CREATE FUNCTION streams.book_failure(p_group text, p_topic text, p_partition int, p_epoch bigint, p_record bigint,
                                     p_line bigint, p_inbox_id text, p_attempt int, p_delay_ms bigint, p_again boolean, p_skip boolean, p_error jsonb)
  RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  due timestamptz := coalesce(clock_timestamp() + p_delay_ms * interval '1 millisecond', 'infinity');
  was_detached boolean;
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  PERFORM FROM streams.parked_record r
    WHERE r.id = p_record AND r.parked_id = p_line AND r.inbox_id = p_inbox_id FOR UPDATE;
  IF NOT FOUND THEN RETURN 'moved'; END IF;
  SELECT k.detached INTO was_detached FROM streams.parked_key k
    WHERE k.id = p_line AND k.attempt = p_attempt AND k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition;
  -- Booked already, and the answer was lost.
  IF NOT FOUND THEN RETURN 'booked'; END IF;
  IF p_skip AND p_delay_ms IS NULL AND NOT p_again AND NOT was_detached THEN
    INSERT INTO streams.inbox (group_id, inbox_id, outcome) VALUES (p_group, p_inbox_id, 'released') ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM streams.detach(p_record, p_line, p_attempt + 1, true, p_error);
      RETURN 'booked';
    END IF;
  END IF;
  UPDATE streams.parked_key k
     SET attempt = k.attempt + CASE WHEN p_again THEN 0 ELSE 1 END, not_before = due WHERE k.id = p_line;
  IF NOT p_again THEN
    UPDATE streams.parked_record r
       SET deaths = r.deaths + CASE WHEN p_delay_ms IS NULL THEN 1 ELSE 0 END, error = p_error,
           first_failed_at = coalesce(r.first_failed_at, clock_timestamp())
     WHERE r.id = p_record;
  END IF;
  RETURN 'booked';
END $$;

-- Dead records that Kafka has not been told of, as many as a process may hold at once.
CREATE FUNCTION streams.unannounced(p_group text, p_topic text, p_partition int, p_limit int)
  RETURNS TABLE (record_id bigint, key bytea, "offset" bigint, inbox_id text, event_id text, tenant_id text, value bytea,
                 headers jsonb, stamped_at bigint, deaths int, error jsonb, first_failed_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    WITH waiting AS MATERIALIZED (SELECT r.id, r.parked_id, r.bytes FROM streams.parked_record r WHERE r.announced < r.deaths),
         ours AS MATERIALIZED (
           SELECT w.id, k.key, sum(w.bytes) OVER (ORDER BY w.id) - w.bytes AS before
             FROM waiting w JOIN streams.parked_key k ON k.id = w.parked_id
            WHERE k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition ORDER BY w.id LIMIT p_limit)
    SELECT r.id, o.key, r."offset", r.inbox_id, r.event_id, r.tenant_id, r.value, r.headers, r.stamped_at, r.deaths, r.error,
           r.first_failed_at
      FROM ours o JOIN streams.parked_record r ON r.id = o.id WHERE o.before < 4194304 ORDER BY r.id;
END $$;

-- Marks what was produced. A record that somebody holds is left for the next time: the others do not wait for it.
CREATE FUNCTION streams.announced(p_group text, p_topic text, p_partition int, p_epoch bigint, p_records bigint[], p_deaths int[])
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  WITH free AS MATERIALIZED (
    SELECT r.id FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
     WHERE r.id = ANY (p_records) AND k.group_id = p_group ORDER BY r.id FOR UPDATE OF r SKIP LOCKED)
  UPDATE streams.parked_record r SET announced = greatest(r.announced, a.deaths)
    FROM free f, unnest(p_records, p_deaths) AS a (id, deaths) WHERE r.id = f.id AND a.id = f.id;
END $$;

REVOKE EXECUTE ON FUNCTION streams.fence, streams.assign, streams.claim, streams.size_of, streams.add_line, streams.park,
  streams.append, streams.look, streams.due, streams.attempt, streams.take_out, streams.leave, streams.detach,
  streams.book_failure, streams.unannounced, streams.announced FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.assign, streams.claim, streams.park, streams.append, streams.look, streams.due, streams.attempt,
  streams.leave, streams.book_failure, streams.unannounced, streams.announced
  TO ragline_identity, ragline_orders, ragline_notifications, ragline_dead_letters;

-- Operators' half: one transaction each, at any time. All take p_tenant: an administrator's tenant, NULL for the
-- operator of all; records of another tenant, or of none, are gone to an administrator.
CREATE FUNCTION streams.require_operator() RETURNS void
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_has_role(session_user, 'ragline_dead_letters', 'MEMBER') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s does not look after dead letters', session_user);
  END IF;
END $$;

-- Locks a record for an operator; no row: it is gone.
CREATE FUNCTION streams.lock_record(p_tenant uuid, p_record bigint) RETURNS SETOF streams.parked_record
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM streams.parked_record r
   WHERE r.id = p_record AND (p_tenant IS NULL OR lower(r.tenant_id) = p_tenant::text) FOR UPDATE
$$;

-- One that holds out does not make the others of a call wait as long again: after a busy one, little patience is left.
CREATE FUNCTION streams.lose_patience() RETURNS void
  LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT set_config('lock_timeout', '50ms', true) $$;

CREATE FUNCTION streams.replay_one(p_tenant uuid, p_record bigint) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  it streams.parked_record;
BEGIN
  SELECT * INTO it FROM streams.lock_record(p_tenant, p_record);
  IF NOT FOUND THEN RETURN 'gone'; END IF;
  PERFORM FROM streams.parked_key k WHERE k.id = it.parked_id FOR UPDATE;
  IF EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = it.parked_id AND b."offset" < it."offset") THEN
    RETURN 'not_head';
  END IF;
  UPDATE streams.parked_key k SET not_before = clock_timestamp() WHERE k.id = it.parked_id;
  RETURN 'replaying';
END $$;

-- The head is due now; its attempts stay, so that a dead one that fails is dead again at once.
CREATE FUNCTION streams.replay_parked(p_tenant uuid, p_records bigint[]) RETURNS TABLE (record_id bigint, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM streams.require_operator();
  FOR record_id IN SELECT DISTINCT id FROM unnest(p_records) AS id ORDER BY id LOOP
    BEGIN
      status := streams.replay_one(p_tenant, record_id);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      status := 'busy';
      PERFORM streams.lose_patience();
    END;
    RETURN NEXT;
  END LOOP;
END $$;

-- Closes a record's id; false when it is closed already. Waits for an attempt that has it.
CREATE FUNCTION streams.close_id(p_line bigint, p_inbox_id text, p_outcome text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO streams.inbox (group_id, inbox_id, outcome)
  SELECT k.group_id, p_inbox_id, p_outcome FROM streams.parked_key k WHERE k.id = p_line
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

CREATE FUNCTION streams.discard_one(p_tenant uuid, p_record bigint) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  it streams.parked_record;
BEGIN
  SELECT * INTO it FROM streams.lock_record(p_tenant, p_record);
  IF NOT FOUND THEN RETURN 'gone'; END IF;
  IF NOT streams.close_id(it.parked_id, it.inbox_id, 'discarded') THEN RETURN 'already_handled'; END IF;
  PERFORM streams.take_out(it.id, it.parked_id);
  RETURN 'discarded';
END $$;

-- Any record, heads and followers.
CREATE FUNCTION streams.discard_parked(p_tenant uuid, p_records bigint[]) RETURNS TABLE (record_id bigint, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM streams.require_operator();
  FOR record_id IN SELECT DISTINCT id FROM unnest(p_records) AS id ORDER BY id LOOP
    BEGIN
      status := streams.discard_one(p_tenant, record_id);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      status := 'busy';
      PERFORM streams.lose_patience();
    END;
    RETURN NEXT;
  END LOOP;
END $$;

-- The record gets another content in its place, under a new id: edited | already_handled | moved | gone | busy.
-- moved: its id is not the expected one any more.
CREATE FUNCTION streams.edit_parked(p_tenant uuid, p_record bigint, p_inbox_id text, p_event_id text, p_value bytea,
                                    p_headers jsonb, p_replay boolean) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  it streams.parked_record;
  size int;
BEGIN
  PERFORM streams.require_operator();
  IF coalesce(p_event_id, '') = '' OR p_event_id = p_inbox_id THEN
    RAISE invalid_parameter_value USING MESSAGE = 'an edited record needs an id of its own';
  END IF;
  SELECT * INTO it FROM streams.lock_record(p_tenant, p_record);
  IF NOT FOUND THEN RETURN 'gone'; END IF;
  IF it.inbox_id <> p_inbox_id THEN RETURN 'moved'; END IF;
  IF NOT streams.close_id(it.parked_id, it.inbox_id, 'edited') THEN RETURN 'already_handled'; END IF;
  SELECT streams.size_of(k.key, p_value, p_headers) INTO STRICT size FROM streams.parked_key k WHERE k.id = it.parked_id FOR UPDATE;
  UPDATE streams.parked_record r
     SET value = p_value, headers = p_headers, event_id = p_event_id, inbox_id = p_event_id, bytes = size WHERE r.id = it.id;
  UPDATE streams.parked_key k
     SET bytes = k.bytes - it.bytes + size,
         not_before = CASE WHEN p_replay AND NOT EXISTS (SELECT FROM streams.parked_record b
                                                          WHERE b.parked_id = k.id AND b."offset" < it."offset")
                           THEN clock_timestamp() ELSE k.not_before END
   WHERE k.id = it.parked_id;
  RETURN 'edited';
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  RETURN 'busy';
END $$;

-- The line's head gives up its place, and its followers go on: released | already_handled | gone | busy.
CREATE FUNCTION streams.release_parked(p_tenant uuid, p_line bigint) RETURNS TABLE (record_id bigint, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  it streams.parked_record;
  line streams.parked_key;
BEGIN
  PERFORM streams.require_operator();
  -- The head may leave while it is waited for; then the next one is.
  FOR i IN 1..10 LOOP
    status := 'gone';
    SELECT r.id INTO record_id FROM streams.parked_record r WHERE r.parked_id = p_line ORDER BY r."offset" LIMIT 1;
    EXIT WHEN NOT FOUND;
    SELECT * INTO it FROM streams.lock_record(p_tenant, record_id);
    status := CASE WHEN FOUND THEN 'locked' ELSE 'gone' END;
    EXIT WHEN status = 'locked' AND it.parked_id = p_line;
    EXIT WHEN EXISTS (SELECT FROM streams.parked_record r WHERE r.id = record_id AND r.parked_id = p_line);
  END LOOP;
  IF status = 'locked' THEN
    SELECT * INTO line FROM streams.parked_key k WHERE k.id = p_line;
    IF line.detached THEN
      status := 'released';
    ELSIF NOT streams.close_id(p_line, it.inbox_id, 'released') THEN
      status := 'already_handled';
    ELSE
      PERFORM streams.detach(it.id, p_line, line.attempt, line.not_before < 'infinity', coalesce(it.error, jsonb_build_object(
        'code', 'released', 'class', '', 'message', 'released before it was tried', 'stack', '', 'attempt', line.attempt,
        'not_before', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'failed_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))));
      status := 'released';
    END IF;
  END IF;
  RETURN NEXT;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  status := 'busy';
  RETURN NEXT;
END $$;

-- What was discarded comes back beside its line, dead and under a new id; the closed id stays closed. The new
-- record's id; NULL when the tenant is another's.
CREATE FUNCTION streams.restore_parked(p_tenant uuid, p_group text, p_topic text, p_partition int, p_offset bigint, p_key bytea,
                                       p_record_tenant uuid, p_event_id text, p_value bytea, p_headers jsonb, p_error jsonb)
  RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  size int := streams.size_of(p_key, p_value, p_headers);
  line bigint;
  made bigint;
BEGIN
  PERFORM streams.require_operator();
  IF p_tenant IS NOT NULL AND p_record_tenant IS DISTINCT FROM p_tenant THEN RETURN NULL; END IF;
  line := streams.add_line(p_group, p_topic, p_partition, p_key, true, 0, 'infinity', p_offset, p_record_tenant::text, size);
  INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes,
                                     deaths, error, first_failed_at)
    VALUES (line, p_offset, gen_random_uuid(), p_event_id, p_record_tenant::text, p_value, p_headers,
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint, size, 1, p_error, clock_timestamp())
    RETURNING id INTO made;
  RETURN made;
END $$;

-- What has become of records: dead (waits for an operator) | waiting (due, or behind its head) | gone, and then the
-- inbox's outcome, NULL when it has none. An element whose record is NULL asks the inbox alone.
CREATE FUNCTION streams.fate(p_records bigint[], p_groups text[], p_inbox_ids text[])
  RETURNS TABLE (record_id bigint, state text, deaths int, attempt int, inbox_id text, error jsonb, outcome text, at timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_operator();
  RETURN QUERY
    SELECT a.record_id,
           CASE WHEN r.id IS NULL THEN 'gone'
                WHEN k.not_before = 'infinity' AND NOT EXISTS (
                  SELECT FROM streams.parked_record b WHERE b.parked_id = r.parked_id AND b."offset" < r."offset") THEN 'dead'
                ELSE 'waiting' END,
           r.deaths, k.attempt, coalesce(r.inbox_id, a.inbox_id), r.error, i.outcome, i.at
      FROM unnest(p_records, p_groups, p_inbox_ids) WITH ORDINALITY AS a (record_id, group_id, inbox_id, place)
      LEFT JOIN streams.parked_record r ON r.id = a.record_id
      LEFT JOIN streams.parked_key k ON k.id = r.parked_id
      LEFT JOIN streams.inbox i ON r.id IS NULL AND i.group_id = a.group_id AND i.inbox_id = a.inbox_id
     ORDER BY a.place;
END $$;

-- Discard and edit where no order is kept: the old ids are closed.
CREATE FUNCTION streams.close_unordered(p_groups text[], p_inbox_ids text[], p_outcome text)
  RETURNS TABLE (inbox_id text, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM streams.require_operator();
  IF p_outcome NOT IN ('discarded', 'edited') THEN
    RAISE invalid_parameter_value USING MESSAGE = 'ids without order are discarded or edited';
  END IF;
  RETURN QUERY
    WITH asked AS (SELECT DISTINCT a.group_id, a.inbox_id FROM unnest(p_groups, p_inbox_ids) AS a (group_id, inbox_id)),
         closed AS (
           INSERT INTO streams.inbox AS i (group_id, inbox_id, outcome)
           SELECT a.group_id, a.inbox_id, p_outcome FROM asked a ORDER BY a.group_id, a.inbox_id
           ON CONFLICT DO NOTHING RETURNING i.group_id, i.inbox_id)
    SELECT a.inbox_id, CASE WHEN c.inbox_id IS NULL THEN 'already_handled' ELSE 'closed' END
      FROM asked a LEFT JOIN closed c ON c.group_id = a.group_id AND c.inbox_id = a.inbox_id;
END $$;

-- Lines with their heads, by id.
CREATE FUNCTION streams.parked_lines(p_tenant uuid, p_group text, p_topic text, p_after bigint, p_limit int)
  RETURNS TABLE (id bigint, group_id text, topic text, partition int, key bytea, tenant_id text, since timestamptz, followers int,
                 attempt int, not_before timestamptz, detached boolean, head_record_id bigint, head_event_id text,
                 head_error jsonb, head_deaths int)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_operator();
  RETURN QUERY
    SELECT k.id, k.group_id, k.topic, k.partition, k.key, h.tenant_id, k.parked_at, k.depth - 1, k.attempt, k.not_before, k.detached,
           h.id, h.event_id, h.error, h.deaths
      FROM streams.parked_key k
     CROSS JOIN LATERAL (SELECT * FROM streams.parked_record r WHERE r.parked_id = k.id ORDER BY r."offset" LIMIT 1) AS h
     WHERE k.id > coalesce(p_after, 0) AND (p_group IS NULL OR k.group_id = p_group) AND (p_topic IS NULL OR k.topic = p_topic)
       AND (p_tenant IS NULL OR lower(h.tenant_id) = p_tenant::text)
     ORDER BY k.id LIMIT p_limit;
END $$;

REVOKE EXECUTE ON FUNCTION streams.require_operator, streams.lock_record, streams.lose_patience, streams.replay_one,
  streams.replay_parked, streams.close_id, streams.discard_one, streams.discard_parked, streams.edit_parked,
  streams.release_parked, streams.restore_parked, streams.fate, streams.close_unordered, streams.parked_lines FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.replay_parked, streams.discard_parked, streams.edit_parked, streams.release_parked,
  streams.restore_parked, streams.fate, streams.close_unordered, streams.parked_lines TO ragline_dead_letters;
