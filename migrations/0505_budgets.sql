-- Tokens by tenant, user and day (UTC): what was used, and what open answers may still use. See docs/decisions/0131.
CREATE TABLE chat.token_budget (
  tenant_id     uuid NOT NULL,
  user_id       uuid NOT NULL,
  day           date NOT NULL,
  input_tokens  bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  -- A tenant's day is the sum over its users: a row of its own would be one that all its answers wait for.
  PRIMARY KEY (tenant_id, day, user_id)
);

-- What an answer that is being made is expected to use: so that many at a time do not each find the budget untouched.
-- Gone when it is spent, or when whoever held it must be gone itself.
CREATE TABLE chat.token_hold (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  user_id    uuid NOT NULL,
  tokens     int NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX token_hold_of_tenant ON chat.token_hold (tenant_id, user_id);
CREATE INDEX token_hold_old ON chat.token_hold (expires_at);

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['token_budget', 'token_hold'] LOOP
    EXECUTE format('ALTER TABLE chat.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format($sql$CREATE POLICY tenant ON chat.%I TO ragline_chat
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON chat.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON chat.token_budget TO ragline_chat;
GRANT SELECT, INSERT, DELETE ON chat.token_hold TO ragline_chat;

-- Forgets days that are long over, and holds whose time is up, of all tenants.
CREATE FUNCTION chat.prune_budgets() RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM chat.token_hold WHERE expires_at < now();
  DELETE FROM chat.token_budget WHERE day < (now() AT TIME ZONE 'UTC')::date - 400;
$$;
REVOKE EXECUTE ON FUNCTION chat.prune_budgets FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chat.prune_budgets TO ragline_chat;
