-- Answers kept for 24 hours, so that a repeated POST gets the first one again.
-- Orders have a table of their own, written by their one statement.

CREATE FUNCTION ops.create_idempotency(p_schema name, p_role name) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($sql$
    CREATE TABLE %1$I.idempotency (
      tenant_id uuid NOT NULL,
      user_id uuid NOT NULL,
      key text NOT NULL,
      request_hash text NOT NULL,
      status int NOT NULL,
      headers json NOT NULL,
      -- json, not jsonb: a replay is the same text, with its keys in their order.
      body json NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, user_id, key)
    );
    CREATE INDEX idempotency_created_at ON %1$I.idempotency (created_at);
    ALTER TABLE %1$I.idempotency ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant ON %1$I.idempotency
      USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
    GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.idempotency TO %2$I;
  $sql$, p_schema, p_role);
END $$;

REVOKE EXECUTE ON FUNCTION ops.create_idempotency FROM PUBLIC;

SELECT ops.create_idempotency('identity', 'ragline_identity');
SELECT ops.create_idempotency('orders', 'ragline_orders');
SELECT ops.create_idempotency('notifications', 'ragline_notifications');

-- Forgets the keys of all tenants that are older than a day; how many.
CREATE FUNCTION ops.prune_idempotency(p_schema name, p_rows int DEFAULT 10000) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  IF NOT has_table_privilege(session_user, format('%I.idempotency', p_schema), 'DELETE') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s does not write to %I.idempotency', session_user, p_schema);
  END IF;
  EXECUTE format('DELETE FROM %1$I.idempotency WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM %1$I.idempotency WHERE created_at < now() - interval ''24 hours'' LIMIT $1))', p_schema)
    USING p_rows;
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END $$;
REVOKE EXECUTE ON FUNCTION ops.prune_idempotency FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.prune_idempotency TO ragline_identity, ragline_orders, ragline_notifications;
