-- Kafka's topics can be written again from the outboxes: in the order in which events were written, and without what
-- remembers places in the old topics (lines of parked keys, counts of crashes, addresses of garbage) being misled.

-- A number of its own for each row. What is written after another transaction's commit has the higher number, whatever
-- clocks say: changes of one aggregate, which wait for each other, are in their order. Rows of before this migration
-- have none, and come first, by their time. Not in the publication's way: the connector takes the columns that it names.
CREATE FUNCTION ops.number_outbox(p_schema name) RETURNS void
  LANGUAGE plpgsql AS $$
DECLARE
  writer name;
BEGIN
  EXECUTE format($sql$
    ALTER TABLE %1$I.outbox ADD COLUMN number bigint;
    CREATE SEQUENCE %1$I.outbox_number OWNED BY %1$I.outbox.number;
    ALTER TABLE %1$I.outbox ALTER COLUMN number SET DEFAULT nextval('%1$I.outbox_number');
  $sql$, p_schema);
  FOR writer IN
    SELECT grantee FROM information_schema.role_table_grants
     WHERE table_schema = p_schema AND table_name = 'outbox' AND privilege_type = 'INSERT'
  LOOP
    EXECUTE format('GRANT USAGE ON SEQUENCE %I.outbox_number TO %I', p_schema, writer);
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION ops.number_outbox FROM PUBLIC;

SELECT ops.number_outbox('identity'), ops.number_outbox('orders'), ops.number_outbox('notifications'),
       ops.number_outbox('dead_letters'), ops.number_outbox('chat');

-- As 0002 has it, and numbered.
ALTER FUNCTION ops.create_outbox(name, name) RENAME TO create_plain_outbox;
CREATE FUNCTION ops.create_outbox(p_schema name, p_role name) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ops.create_plain_outbox(p_schema, p_role);
  PERFORM ops.number_outbox(p_schema);
END $$;
REVOKE EXECUTE ON FUNCTION ops.create_outbox FROM PUBLIC;

-- Which making of a topic the places in this schema are about. Written before the connector writes to a new topic:
-- when topics are applied, when a stack starts, when topics are rebuilt.
CREATE TABLE streams.topic_incarnation (
  topic text PRIMARY KEY,
  -- Kafka's id of the topic: another one after it was made anew.
  topic_id text NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The last place in each partition of the topic that something here is about.
CREATE FUNCTION streams.places(p_topic text) RETURNS TABLE (partition int, last bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT q.partition, max(q.place) FROM (
    SELECT k.partition, k.last_offset AS place FROM streams.parked_key k WHERE k.topic = p_topic
    UNION ALL
    SELECT k.partition, r."offset" FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
     WHERE k.topic = p_topic
    UNION ALL
    SELECT s.partition, s."offset" FROM streams.started s WHERE s.topic = p_topic) AS q
   GROUP BY q.partition
$$;

-- Says that the topic has this id now. When it had another one (or, asked for the first time, when it is seen to be new:
-- empty, or with places behind its ends), places in it mean nothing any more, and are forgotten in this transaction:
-- true then. Before anything is written to it: a record at a low offset would be taken for one that its line has already.
CREATE FUNCTION streams.begin_topic(p_topic text, p_topic_id text, p_is_new boolean) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  known text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ragline.begin_topic.' || p_topic, 0));
  SELECT t.topic_id INTO known FROM streams.topic_incarnation t WHERE t.topic = p_topic;
  IF known = p_topic_id THEN RETURN false; END IF;
  INSERT INTO streams.topic_incarnation AS t (topic, topic_id) VALUES (p_topic, p_topic_id)
    ON CONFLICT (topic) DO UPDATE SET topic_id = excluded.topic_id, since = clock_timestamp();
  IF known IS NULL AND NOT p_is_new THEN RETURN false; END IF;

  -- Whoever works on a partition of it stops, and begins again at the group's committed offset: there is none.
  UPDATE streams.lease l SET epoch = l.epoch + 1, since = clock_timestamp() WHERE l.topic = p_topic;
  -- In one order, as operators' batches take them.
  PERFORM FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
    WHERE k.topic = p_topic ORDER BY r.id FOR UPDATE OF r;
  -- Below every offset, in the order that they had. In two steps: some may be below already, since the time before.
  UPDATE streams.parked_record r SET "offset" = r."offset" + 1152921504606846976
    FROM streams.parked_key k WHERE k.id = r.parked_id AND k.topic = p_topic;
  UPDATE streams.parked_record r SET "offset" = p.place
    FROM (SELECT q.id, row_number() OVER (PARTITION BY q.parked_id ORDER BY q."offset")
                       - count(*) OVER (PARTITION BY q.parked_id) - 1 AS place
            FROM streams.parked_record q JOIN streams.parked_key k ON k.id = q.parked_id WHERE k.topic = p_topic) AS p
   WHERE p.id = r.id;
  DELETE FROM streams.started s WHERE s.topic = p_topic;
  -- What could not be read has its address for an id, which another record will have.
  DELETE FROM streams.inbox i USING (SELECT DISTINCT l.group_id FROM streams.lease l WHERE l.topic = p_topic) AS g
   WHERE i.group_id = g.group_id AND starts_with(i.inbox_id, 'at:' || p_topic || '/');
  UPDATE streams.parked_record r SET inbox_id = r.inbox_id || '^' || r.id
    FROM streams.parked_key k
   WHERE k.id = r.parked_id AND k.topic = p_topic AND starts_with(r.inbox_id, 'at:' || p_topic || '/');
  UPDATE streams.parked_key k SET last_offset = -1 WHERE k.topic = p_topic;
  RETURN true;
END $$;

-- Records of lines that have lost their places: which events they are.
CREATE FUNCTION streams.unplaced(p_topics text[]) RETURNS TABLE (topic text, event_id text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.topic, r.event_id FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
   WHERE k.topic = ANY (p_topics) AND r."offset" < 0
$$;

-- Gives records of lines the places that their events have now; how many. Those whose event is not there any more stay
-- where they are: before all others.
CREATE FUNCTION streams.place_again(p_topic text, p_event_ids text[], p_offsets bigint[]) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  placed bigint;
BEGIN
  PERFORM FROM streams.lease l WHERE l.topic = p_topic ORDER BY l.group_id, l.partition FOR UPDATE;
  UPDATE streams.parked_record r SET "offset" = p.place
    FROM unnest(p_event_ids, p_offsets) AS p (event_id, place), streams.parked_key k
   WHERE k.id = r.parked_id AND k.topic = p_topic AND r.event_id = p.event_id AND r."offset" < 0
     AND NOT EXISTS (SELECT FROM streams.parked_record o WHERE o.parked_id = r.parked_id AND o."offset" = p.place);
  GET DIAGNOSTICS placed = ROW_COUNT;
  UPDATE streams.parked_key k
     SET last_offset = greatest(k.last_offset, (SELECT max(r."offset") FROM streams.parked_record r WHERE r.parked_id = k.id))
   WHERE k.topic = p_topic;
  RETURN placed;
END $$;

-- A dead letter that Kafka lost before it was kept is told again; how many. One that is on its way comes twice, and is
-- one letter all the same.
CREATE FUNCTION streams.announce_again() RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  again bigint;
  scope text := coalesce(current_setting('ragline.scope', true), '');
BEGIN
  -- Letters of all tenants. Not by a SET of the function, which only a superuser may give it.
  PERFORM set_config('ragline.scope', 'operator', true);
  UPDATE streams.parked_record r SET announced = r.deaths - 1
    FROM streams.parked_key k
   WHERE k.id = r.parked_id AND r.deaths > 0 AND r.announced >= r.deaths
     AND NOT EXISTS (SELECT FROM dead_letters.letter l
                      WHERE l.identity = k.group_id || '#' || r.id::text AND l.deaths >= r.deaths);
  GET DIAGNOSTICS again = ROW_COUNT;
  PERFORM set_config('ragline.scope', scope, true);
  RETURN again;
END $$;

-- For administrators, who need no grant.
REVOKE EXECUTE ON FUNCTION streams.places, streams.begin_topic, streams.unplaced, streams.place_again, streams.announce_again FROM PUBLIC;

-- As in 0007, and by their ids too: once places are lost, a record that is here or was handled may come at any offset.
CREATE OR REPLACE FUNCTION streams.append(p_group text, p_topic text, p_partition int, p_epoch bigint, p_key bytea, p_offsets bigint[],
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
    ELSIF p_offsets[i] <= line.last_offset
       OR EXISTS (SELECT FROM streams.parked_record r WHERE r.inbox_id = p_inbox_ids[i] AND r.parked_id = line.id)
       OR EXISTS (SELECT FROM streams.inbox h WHERE h.group_id = p_group AND h.inbox_id = p_inbox_ids[i]) THEN
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
