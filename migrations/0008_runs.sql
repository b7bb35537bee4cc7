-- A record that ends the process cannot be counted by that process. So each run over a partition is noted, and its
-- end; after a run without an end, the records it may have been handling are noted one by one before they start.

-- The last run over each partition.
CREATE TABLE streams.run (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  run_id uuid NOT NULL,
  -- Runs in a row that were not ended: killed, crashed, or thrown out of the group.
  unclean int NOT NULL DEFAULT 0,
  ended boolean NOT NULL DEFAULT false,
  -- The run before, while it has not ended: in a rebalance it does so a moment after the next one has begun.
  before_id uuid,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, topic, partition)
);

-- Records that were begun after an unclean run and have not come to an end.
CREATE TABLE streams.started (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  run_id uuid NOT NULL,
  starts int NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, topic, partition, "offset")
);

-- Notes a run; how many runs before it were not ended, and which records they left begun.
CREATE FUNCTION streams.begin_run(p_group text, p_topic text, p_partition int, p_run uuid,
    OUT unclean int, OUT offsets bigint[], OUT starts int[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  -- Of records that were taken out aside, by an operator or with their line, nobody says that they are done; one that
  -- still ends processes is begun anew sooner than this.
  DELETE FROM streams.started s
   WHERE s.group_id = p_group AND s.topic = p_topic AND s.partition = p_partition
     AND s.at < clock_timestamp() - interval '1 day';
  INSERT INTO streams.run AS r (group_id, topic, partition, run_id) VALUES (p_group, p_topic, p_partition, p_run)
  ON CONFLICT (group_id, topic, partition) DO UPDATE
    -- Its answer may have been lost: then it asks again, and is not its own predecessor.
    SET unclean = CASE WHEN r.run_id = p_run THEN r.unclean WHEN r.ended THEN 0 ELSE r.unclean + 1 END,
        before_id = CASE WHEN r.run_id = p_run THEN r.before_id WHEN r.ended THEN NULL ELSE r.run_id END,
        run_id = p_run, ended = false, since = clock_timestamp()
  RETURNING r.unclean INTO begin_run.unclean;
  SELECT coalesce(array_agg(s."offset" ORDER BY s."offset"), '{}'), coalesce(array_agg(s.starts ORDER BY s."offset"), '{}')
    INTO begin_run.offsets, begin_run.starts
    FROM streams.started s WHERE s.group_id = p_group AND s.topic = p_topic AND s.partition = p_partition;
END $$;

-- The run is over and nothing of it runs any more: what it had begun did not end the process.
CREATE FUNCTION streams.end_run(p_group text, p_topic text, p_partition int, p_run uuid) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  UPDATE streams.run r SET ended = true
   WHERE r.group_id = p_group AND r.topic = p_topic AND r.partition = p_partition AND r.run_id = p_run;
  UPDATE streams.run r SET before_id = NULL, unclean = 0
   WHERE r.group_id = p_group AND r.topic = p_topic AND r.partition = p_partition AND r.before_id = p_run;
  DELETE FROM streams.started s
   WHERE s.group_id = p_group AND s.topic = p_topic AND s.partition = p_partition AND s.run_id = p_run;
END $$;

-- Whether the run before this one has ended, if late.
CREATE FUNCTION streams.run_before_ended(p_group text, p_topic text, p_partition int, p_run uuid) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN EXISTS (SELECT FROM streams.run r
                  WHERE r.group_id = p_group AND r.topic = p_topic AND r.partition = p_partition
                    AND r.run_id = p_run AND r.before_id IS NULL);
END $$;

-- Notes that a record begins; which start this is. The first note is of the second start: the one before was in the
-- run that was not ended.
CREATE FUNCTION streams.start_record(p_group text, p_topic text, p_partition int, p_offset bigint, p_run uuid) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  which int;
BEGIN
  PERFORM streams.require_group(p_group);
  INSERT INTO streams.started AS s (group_id, topic, partition, "offset", run_id, starts)
  VALUES (p_group, p_topic, p_partition, p_offset, p_run, 2)
  ON CONFLICT (group_id, topic, partition, "offset") DO UPDATE
    SET starts = CASE WHEN s.run_id = p_run THEN s.starts ELSE s.starts + 1 END,
        run_id = p_run, at = clock_timestamp()
  RETURNING s.starts INTO which;
  RETURN which;
END $$;

-- The record came to an end, in whichever way: it did not end the process.
CREATE FUNCTION streams.finish_record(p_group text, p_topic text, p_partition int, p_offset bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  DELETE FROM streams.started s
   WHERE s.group_id = p_group AND s.topic = p_topic AND s.partition = p_partition AND s."offset" = p_offset;
END $$;

REVOKE EXECUTE ON FUNCTION streams.begin_run, streams.end_run, streams.run_before_ended, streams.start_record, streams.finish_record FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.begin_run, streams.end_run, streams.run_before_ended, streams.start_record, streams.finish_record
  TO ragline_identity, ragline_orders, ragline_notifications, ragline_dead_letters;
