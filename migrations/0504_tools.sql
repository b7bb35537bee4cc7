-- Tools: what a model asked for with an effect, what a customer approved, and which tools a tenant has switched off.

-- An order that waits for its customer's word. Everything that the word is about is here, so that nothing said later (by a
-- model, a document or another tool) can change what is placed.
CREATE TABLE chat.approval (
  id                  uuid PRIMARY KEY,
  tenant_id           uuid NOT NULL,
  user_id             uuid NOT NULL,
  conversation_id     uuid NOT NULL REFERENCES chat.conversation ON DELETE CASCADE,
  -- The turn that asked.
  turn_id             uuid NOT NULL,
  -- The approval that this one stands in for: its price no longer held when it was carried out.
  replaces            uuid REFERENCES chat.approval ON DELETE SET NULL,
  -- As shown to the customer; the token is beside it, for the orders service alone.
  quote               jsonb NOT NULL,
  quote_token         text NOT NULL,
  -- SHA-256 over the quote, its token and the request, hexadecimal.
  quote_hash          text NOT NULL,
  -- The body of POST /v1/orders as text: a repetition has to be the same to the byte.
  order_request       text NOT NULL,
  -- Of the order. One that replaces another keeps its key, so the two of them can place one order at most.
  idempotency_key     text NOT NULL,
  state               text NOT NULL DEFAULT 'pending'
                      CHECK (state IN ('pending', 'approved', 'rejected', 'used', 'expired', 'failed')),
  -- Why it failed or expired: an error code.
  reason              text,
  decided_at          timestamptz,
  -- The turn that carries the decision out, and the message that says how that went.
  decision_turn_id    uuid,
  decision_message_id uuid,
  order_id            uuid,
  created_at          timestamptz NOT NULL DEFAULT now(),
  expires_at          timestamptz NOT NULL,
  CHECK ((state IN ('approved', 'rejected', 'used', 'failed')) = (decided_at IS NOT NULL)),
  CHECK ((state = 'used') = (order_id IS NOT NULL))
);
-- A newer question takes the place of an older one: a customer cannot approve the same wish twice by two cards.
CREATE UNIQUE INDEX approval_pending ON chat.approval (conversation_id) WHERE state = 'pending';
CREATE INDEX approval_of_conversation ON chat.approval (conversation_id, id DESC);

-- The ledger: each effect of a tool, once. See docs/decisions/0120.
CREATE TABLE chat.tool_call (
  id              uuid PRIMARY KEY,
  tenant_id       uuid NOT NULL,
  conversation_id uuid NOT NULL REFERENCES chat.conversation ON DELETE CASCADE,
  turn_id         uuid NOT NULL,
  -- Of the turn that claimed it last: an older worker's write changes nothing.
  generation      int NOT NULL,
  -- What makes it the same effect, however often it is asked for.
  call_key        text NOT NULL,
  tool            text NOT NULL,
  effect          text NOT NULL,
  args_hash       text NOT NULL,
  state           text NOT NULL CHECK (state IN ('claimed', 'done', 'blocked')),
  -- What the service that has the effect knows it by; null when the effect is in this database.
  idempotency_key text,
  result          jsonb,
  -- Of the first claim: from then on the other service remembers the key for a day.
  claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  done_at         timestamptz,
  UNIQUE (tenant_id, call_key),
  CHECK ((state = 'claimed') = (done_at IS NULL))
);
-- How old a key is: that of a replaced approval goes on.
CREATE INDEX tool_call_key ON chat.tool_call (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX tool_call_of_conversation ON chat.tool_call (conversation_id, id);

-- A tool without a row is on.
CREATE TABLE chat.tool_setting (
  tenant_id  uuid NOT NULL,
  tool       text NOT NULL,
  enabled    boolean NOT NULL,
  updated_by uuid NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, tool)
);

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['approval', 'tool_call', 'tool_setting'] LOOP
    EXECUTE format('ALTER TABLE chat.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format($sql$CREATE POLICY tenant ON chat.%I TO ragline_chat
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON chat.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON chat.approval, chat.tool_call, chat.tool_setting TO ragline_chat;
