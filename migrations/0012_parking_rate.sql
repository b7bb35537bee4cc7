-- Thousands of lines at once: many heads in one transaction, and plans that do not depend on what the tables were when
-- they were last analysed. What is parked comes in a rush, so that planning by old counts reads whole tables.

-- Begins attempts at heads of several lines in one transaction: those that are still what was read, and due; fresh:
-- they were not handled before. No two with the same inbox id. One that somebody holds is left for the next time.
CREATE FUNCTION streams.attempt_all(p_group text, p_topic text, p_partition int, p_epoch bigint, p_records bigint[],
                                    p_lines bigint[], p_inbox_ids text[], p_attempts int[])
  RETURNS TABLE (record_id bigint, fresh boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  held bigint[];
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  SELECT array_agg(l.id) INTO held FROM (
    SELECT r.id FROM unnest(p_records, p_lines, p_inbox_ids) AS a (record, line, inbox_id)
      JOIN streams.parked_record r ON r.id = a.record AND r.parked_id = a.line AND r.inbox_id = a.inbox_id
     ORDER BY r.id FOR UPDATE OF r SKIP LOCKED) AS l;
  -- Looked at by a statement of its own, that sees what was committed before the locks were had.
  RETURN QUERY
    WITH head AS MATERIALIZED (
      SELECT r.id, r.inbox_id
        FROM unnest(p_records, p_attempts) AS a (record, attempt)
        JOIN streams.parked_record r ON r.id = a.record
        JOIN streams.parked_key k ON k.id = r.parked_id
       WHERE a.record = ANY (held) AND k.group_id = p_group AND k.topic = p_topic AND k.partition = p_partition
         AND k.attempt = a.attempt AND k.not_before <= clock_timestamp()
         AND NOT EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = r.parked_id AND b."offset" < r."offset")),
    claimed AS (
      INSERT INTO streams.inbox (group_id, inbox_id, outcome)
      SELECT p_group, h.inbox_id, 'handled' FROM head h ORDER BY h.inbox_id
      ON CONFLICT DO NOTHING RETURNING inbox_id),
    taken AS (SELECT array_agg(c.inbox_id) AS ids FROM claimed c)
    SELECT h.id, coalesce(h.inbox_id = ANY (t.ids), false) FROM head h, taken t;
END $$;

-- Ends those attempts: the heads leave their lines; the lines that are gone. Only after streams.attempt_all in the same
-- transaction, for what it gave.
CREATE FUNCTION streams.leave_all(p_group text, p_records bigint[]) RETURNS bigint[]
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
  SELECT array_agg(k.id) INTO lines
    FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
    JOIN streams.inbox i ON i.group_id = k.group_id AND i.inbox_id = r.inbox_id
   WHERE r.id = ANY (p_records) AND k.group_id = p_group
     AND NOT EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = r.parked_id AND b."offset" < r."offset");
  IF coalesce(cardinality(lines), 0) <> cardinality(p_records) THEN
    RAISE no_data_found USING MESSAGE = format('records of group %s are not being tried', p_group);
  END IF;
  -- Emptiness is judged under the lines' locks, never before: a follower may be on its way.
  SELECT coalesce(array_agg(l.id) FILTER (WHERE l.depth = 1), '{}') INTO ending
    FROM (SELECT k.id, k.depth FROM streams.parked_key k WHERE k.id = ANY (lines) ORDER BY k.id FOR UPDATE) AS l;
  WITH gone AS (DELETE FROM streams.parked_record r WHERE r.id = ANY (p_records) RETURNING r.parked_id, r.bytes)
  SELECT array_agg(g.parked_id), array_agg(g.bytes) INTO going, sizes FROM gone g WHERE g.parked_id <> ALL (ending);
  UPDATE streams.parked_key k
     SET depth = k.depth - 1, bytes = k.bytes - g.size, attempt = 0, not_before = clock_timestamp(),
         tenant_id = (SELECT h.tenant_id FROM streams.parked_record h WHERE h.parked_id = k.id ORDER BY h."offset" LIMIT 1)
    FROM unnest(going, sizes) AS g (line, size) WHERE k.id = g.line;
  DELETE FROM streams.parked_key k WHERE k.id = ANY (ending);
  RETURN ending;
END $$;

REVOKE EXECUTE ON FUNCTION streams.attempt_all, streams.leave_all FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.attempt_all, streams.leave_all
  TO ragline_identity, ragline_orders, ragline_notifications, ragline_dead_letters;

-- The head is due now; its attempts stay, so that a dead one that fails is dead again at once. Those that nobody holds go
-- in three statements, whatever their number; the others one by one, each with some patience.
CREATE OR REPLACE FUNCTION streams.replay_parked(p_tenant uuid, p_records bigint[]) RETURNS TABLE (record_id bigint, status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  free bigint[];
  lines bigint[];
  done bigint[];
BEGIN
  PERFORM streams.require_operator();
  SELECT array_agg(l.id), array_agg(l.parked_id) INTO free, lines FROM (
    SELECT r.id, r.parked_id FROM streams.parked_record r
     WHERE r.id = ANY (p_records) AND (p_tenant IS NULL OR lower(r.tenant_id) = p_tenant::text)
     ORDER BY r.id FOR UPDATE SKIP LOCKED) AS l;
  SELECT array_agg(l.id) INTO lines FROM (
    SELECT k.id FROM streams.parked_key k WHERE k.id = ANY (lines) ORDER BY k.id FOR UPDATE SKIP LOCKED) AS l;
  WITH head AS MATERIALIZED (
    SELECT r.id, r.parked_id FROM streams.parked_record r
     WHERE r.id = ANY (free) AND r.parked_id = ANY (lines)
       AND NOT EXISTS (SELECT FROM streams.parked_record b WHERE b.parked_id = r.parked_id AND b."offset" < r."offset")),
  due AS (
    UPDATE streams.parked_key k SET not_before = clock_timestamp() FROM head h WHERE k.id = h.parked_id RETURNING h.id)
  SELECT array_agg(d.id) INTO done FROM due d;
  RETURN QUERY SELECT d.id, 'replaying' FROM unnest(done) AS d (id);
  FOR record_id IN SELECT unnest(p_records) EXCEPT SELECT unnest(done) ORDER BY 1 LOOP
    BEGIN
      status := streams.replay_one(p_tenant, record_id);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      status := 'busy';
      PERFORM streams.lose_patience();
    END;
    RETURN NEXT;
  END LOOP;
END $$;

-- Heads that are due, longest first, each with followers behind it as long as they are small together; of all of them
-- as many as a process may hold at once.
CREATE OR REPLACE FUNCTION streams.due(p_group text, p_topic text, p_partition int, p_lines int, p_each int, p_bytes int DEFAULT 262144)
  RETURNS TABLE (line_id bigint, key bytea, detached boolean, attempt int, not_before timestamptz, record_id bigint,
                 "offset" bigint, inbox_id text, event_id text, tenant_id text, value bytea, headers jsonb, stamped_at bigint,
                 deaths int, first_failed_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    WITH wanted AS MATERIALIZED (
      SELECT k.id AS line, h.id AS record, h.place,
             sum(h.bytes) OVER (ORDER BY k.not_before, k.id, h."offset") - h.bytes AS before
        FROM (SELECT * FROM streams.parked_key l
               WHERE l.group_id = p_group AND l.topic = p_topic AND l.partition = p_partition AND l.not_before <= now()
               ORDER BY l.not_before LIMIT p_lines) AS k
       CROSS JOIN LATERAL (
             SELECT q.*, row_number() OVER (ORDER BY q."offset") AS place, sum(q.bytes) OVER (ORDER BY q."offset") AS until
               FROM (SELECT s.id, s."offset", s.bytes FROM streams.parked_record s
                      WHERE s.parked_id = k.id ORDER BY s."offset" LIMIT p_each) AS q) AS h
       WHERE h.place = 1 OR h.until <= p_bytes)
    SELECT k.id, k.key, k.detached, CASE WHEN w.place = 1 THEN k.attempt ELSE 0 END, k.not_before, r.id, r."offset", r.inbox_id,
           r.event_id, r.tenant_id, r.value, r.headers, r.stamped_at, r.deaths, r.first_failed_at
      FROM wanted w JOIN streams.parked_key k ON k.id = w.line JOIN streams.parked_record r ON r.id = w.record
     WHERE w.before < 4194304
     ORDER BY k.not_before, k.id, r."offset";
END $$;

-- Marks what was produced. A record that somebody holds is left for the next time: the others do not wait for it.
CREATE OR REPLACE FUNCTION streams.announced(p_group text, p_topic text, p_partition int, p_epoch bigint, p_records bigint[], p_deaths int[])
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM streams.fence(p_group, p_topic, p_partition, p_epoch);
  WITH free AS MATERIALIZED (
    SELECT r.id FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
     WHERE r.id = ANY (p_records) AND k.group_id = p_group ORDER BY r.id FOR UPDATE OF r SKIP LOCKED)
  UPDATE streams.parked_record r SET announced = greatest(r.announced, p_deaths[array_position(p_records, r.id)])
    FROM free f WHERE r.id = f.id;
END $$;
