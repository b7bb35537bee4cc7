-- What each consumer group has handled: a row in the transaction of the effect makes the effect happen once.
--
-- Not partitioned: the guarantee is the primary key, and a unique key of a partitioned table must hold the
-- partition's column, so that the same id could be taken once in each month. Old rows are pruned in small steps.
CREATE TABLE streams.inbox (
  group_id text NOT NULL,
  inbox_id text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('handled', 'discarded', 'edited', 'released')),
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (group_id, inbox_id)
);
-- Rows arrive in the order of their time, so a few bytes per block range find the old ones.
CREATE INDEX inbox_at ON streams.inbox USING brin (at);

-- Which role consumes as which group.
CREATE TABLE streams.group_role (
  group_id text PRIMARY KEY,
  role name NOT NULL
);
INSERT INTO streams.group_role VALUES ('notifications', 'ragline_notifications');

-- Refuses whoever is not the group's role. Groups of tests and benchmarks begin with test- or bench- and are
-- anybody's who may come this far.
CREATE FUNCTION streams.require_group(p_group text) RETURNS void
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_group LIKE 'test-%' OR p_group LIKE 'bench-%'
     OR EXISTS (SELECT FROM streams.group_role g
                 WHERE g.group_id = p_group AND pg_has_role(session_user, g.role, 'MEMBER')) THEN
    RETURN;
  END IF;
  RAISE insufficient_privilege USING MESSAGE = format('%s does not consume as group %s', session_user, p_group);
END $$;

-- Marks ids as done and returns those that were not: the fresh ones. An id that another open transaction has
-- taken is waited for. In one order for all callers, so that two of them cannot wait for each other.
CREATE FUNCTION streams.close_inbox(p_group text, p_inbox_ids text[], p_outcome text DEFAULT 'handled')
  RETURNS SETOF text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY
    INSERT INTO streams.inbox (group_id, inbox_id, outcome)
    SELECT p_group, id, p_outcome FROM unnest(p_inbox_ids) AS id ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING inbox_id;
END $$;

-- What became of an id: no row when nothing has yet.
CREATE FUNCTION streams.inbox_fate(p_group text, p_inbox_id text) RETURNS TABLE (outcome text, at timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM streams.require_group(p_group);
  RETURN QUERY SELECT i.outcome, i.at FROM streams.inbox i WHERE i.group_id = p_group AND i.inbox_id = p_inbox_id;
END $$;

-- Forgets up to p_rows of the group's ids older than p_keep; how many. The least that may be kept is longer than
-- any record can come back: the outbox's 13 months, the letters' 90 days.
CREATE FUNCTION streams.prune_inbox(p_group text, p_keep interval DEFAULT '14 months', p_rows int DEFAULT 10000)
  RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  PERFORM streams.require_group(p_group);
  IF p_keep < interval '14 months' AND p_group NOT LIKE 'test-%' AND p_group NOT LIKE 'bench-%' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'an inbox is kept for at least 14 months';
  END IF;
  DELETE FROM streams.inbox WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM streams.inbox WHERE group_id = p_group AND at < now() - p_keep LIMIT p_rows));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END $$;

REVOKE EXECUTE ON FUNCTION streams.require_group, streams.close_inbox, streams.inbox_fate, streams.prune_inbox FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams.close_inbox, streams.inbox_fate, streams.prune_inbox
  TO ragline_identity, ragline_orders, ragline_notifications;
