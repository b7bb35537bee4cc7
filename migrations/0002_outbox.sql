-- One outbox per service that publishes: its append-only event log, partitioned by month.
-- Columns have the names that Debezium's EventRouter expects; aggregatetype is the topic itself.

CREATE FUNCTION ops.create_outbox(p_schema name, p_role name) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($sql$
    CREATE TABLE %1$I.outbox (
      id uuid NOT NULL,
      aggregatetype text NOT NULL,
      aggregateid text NOT NULL,
      type text NOT NULL,
      payload bytea NOT NULL,
      tenant_id uuid NOT NULL,
      user_id text NOT NULL,
      traceparent text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (id, created_at)
    ) PARTITION BY RANGE (created_at);
    CREATE INDEX outbox_aggregateid ON %1$I.outbox (aggregateid, created_at);
    COMMENT ON TABLE %1$I.outbox IS 'Event log: insert only; dropped by partition after its retention.';

    ALTER TABLE %1$I.outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant ON %1$I.outbox
      USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
    -- The connector reads all tenants' events, and nothing else of anyone.
    CREATE POLICY cdc ON %1$I.outbox FOR SELECT TO ragline_cdc USING (true);

    GRANT SELECT, INSERT ON %1$I.outbox TO %2$I;
    GRANT SELECT ON %1$I.outbox TO ragline_cdc;
  $sql$, p_schema, p_role);
END $$;

REVOKE EXECUTE ON FUNCTION ops.create_outbox FROM PUBLIC;

SELECT ops.create_outbox('identity', 'ragline_identity');
SELECT ops.create_outbox('orders', 'ragline_orders');
SELECT ops.create_outbox('notifications', 'ragline_notifications');

-- Only inserts are events, and a partition's rows are the outbox's: dropping a month must not reach Kafka.
CREATE PUBLICATION ragline_outbox
  FOR TABLE identity.outbox, orders.outbox, notifications.outbox
  WITH (publish = 'insert', publish_via_partition_root = true);

-- Makes the months ahead, drops those past their retention; says which. A table that cannot be had within a
-- second is left for the next call: an insert must never wait for housekeeping.
CREATE FUNCTION ops.maintain_outbox(p_schema name, p_ahead_months int DEFAULT 3, p_keep_months int DEFAULT 13,
                                    OUT made text[], OUT dropped text[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET timezone = 'UTC' AS $$
DECLARE
  root regclass := format('%I.outbox', p_schema)::regclass;
  present timestamptz := date_trunc('month', clock_timestamp());
  month timestamptz;
  part name;
BEGIN
  IF NOT has_table_privilege(session_user, root, 'INSERT') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s does not write to %s', session_user, root);
  END IF;
  IF p_ahead_months NOT BETWEEN 1 AND 24 OR p_keep_months NOT BETWEEN 1 AND 1200 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'ahead must be 1 to 24 months, keep 1 to 1200';
  END IF;
  made := '{}';
  dropped := '{}';
  -- One at a time: two instances start together as a rule.
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.maintain_outbox.' || p_schema, 0)) THEN
    RETURN;
  END IF;

  FOR i IN -1..p_ahead_months LOOP
    month := present + make_interval(months => i);
    part := 'outbox_' || to_char(month, 'YYYY_MM');
    CONTINUE WHEN to_regclass(format('%I.%I', p_schema, part)) IS NOT NULL;
    BEGIN
      -- Made beside and then attached: that lets inserts go on, as making it in place would not.
      EXECUTE format('CREATE TABLE %1$I.%2$I (LIKE %1$I.outbox INCLUDING ALL)', p_schema, part);
      EXECUTE format('ALTER TABLE %1$I.%2$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_schema, part);
      EXECUTE format('ALTER TABLE %1$I.outbox ATTACH PARTITION %1$I.%2$I FOR VALUES FROM (%3$L) TO (%4$L)',
                     p_schema, part, month, month + interval '1 month');
      made := made || part::text;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;

  FOR part, month IN
    SELECT c.relname, to_timestamp(substr(c.relname, 8), 'YYYY_MM')
      FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
     WHERE h.inhparent = root AND c.relname ~ '^outbox_\d{4}_\d{2}$'
     ORDER BY c.relname
  LOOP
    CONTINUE WHEN month + interval '1 month' > present - make_interval(months => p_keep_months);
    BEGIN
      EXECUTE format('DROP TABLE %I.%I', p_schema, part);
      dropped := dropped || part::text;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION ops.maintain_outbox FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.maintain_outbox TO ragline_identity, ragline_orders, ragline_notifications;

SELECT ops.maintain_outbox('identity'), ops.maintain_outbox('orders'), ops.maintain_outbox('notifications');
