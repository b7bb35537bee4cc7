-- Answers in OpenAI's wire format that are being made: they have no turn, and take a place among the open turns of their
-- user and tenant all the same (docs/decisions/0180). Gone with the answer, or when whoever made it must be gone itself.
CREATE TABLE chat.open_completion (
  id        uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  user_id   uuid NOT NULL,
  until     timestamptz NOT NULL
);
CREATE INDEX open_completion_of_tenant ON chat.open_completion (tenant_id, until);

ALTER TABLE chat.open_completion ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON chat.open_completion TO ragline_chat
  USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid));
CREATE POLICY owner ON chat.open_completion TO CURRENT_USER USING (true);
GRANT SELECT, INSERT, DELETE ON chat.open_completion TO ragline_chat;

-- As before, and places of processes that ended without leaving them.
CREATE OR REPLACE FUNCTION chat.prune_budgets() RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM chat.token_hold WHERE expires_at < now();
  DELETE FROM chat.open_completion WHERE until < now();
  DELETE FROM chat.token_budget WHERE day < (now() AT TIME ZONE 'UTC')::date - 400;
$$;
