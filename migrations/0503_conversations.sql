-- Conversations, their messages, and the turns that answer them.
--
-- A turn is one question and its answer. It is claimed by raising `generation`: whatever an older worker still writes
-- says which generation it has, and changes nothing. See docs/decisions/0115.
CREATE TABLE chat.conversation (
  id           uuid PRIMARY KEY,
  tenant_id    uuid NOT NULL,
  user_id      uuid NOT NULL,
  title        text,
  -- What was said up to the message at this position, in short.
  summary      text,
  summary_upto int NOT NULL DEFAULT 0,
  -- How many messages there are: the position of the last one. Taken under this row's lock, so that messages and the
  -- records of their turns have one order.
  messages     int NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  deleted_at   timestamptz
);
-- Ids are UUIDv7, so their order is that of time.
CREATE INDEX conversation_of_user ON chat.conversation (tenant_id, user_id, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE chat.message (
  id              uuid PRIMARY KEY,
  conversation_id uuid NOT NULL REFERENCES chat.conversation ON DELETE CASCADE,
  tenant_id       uuid NOT NULL,
  user_id         uuid NOT NULL,
  turn_id         uuid NOT NULL,
  position        int NOT NULL,
  role            text NOT NULL CHECK (role IN ('user', 'assistant')),
  content         text NOT NULL DEFAULT '',
  state           text NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'stopped')),
  citations       jsonb NOT NULL DEFAULT '[]',
  approval_id     uuid,
  model           text,
  prompt_hash     text,
  usage           jsonb,
  latency         jsonb,
  -- What the model was shown, in tokens, and what had to be left out.
  context         jsonb,
  error_code      text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  completed_at    timestamptz,
  UNIQUE (conversation_id, position)
);
CREATE INDEX message_of_turn ON chat.message (turn_id);

CREATE TABLE chat.turn (
  id                uuid PRIMARY KEY,
  conversation_id   uuid NOT NULL REFERENCES chat.conversation ON DELETE CASCADE,
  tenant_id         uuid NOT NULL,
  user_id           uuid NOT NULL,
  kind              text NOT NULL CHECK (kind IN ('answer', 'approval')),
  -- Of the user when he asked. What writes for him asks identity anew.
  roles             text[] NOT NULL,
  message_id        uuid,
  answer_id         uuid NOT NULL,
  approval_id       uuid,
  state             text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'running', 'completed', 'failed', 'stopped')),
  generation        int NOT NULL DEFAULT 0,
  -- The instance that claimed it last.
  worker            text,
  error_code        text,
  -- The place of the event that ends it, so that whoever sends it again sends the same.
  end_sequence      int,
  -- The wish is never taken back: a worker that takes the turn over sees it too.
  stop_requested_at timestamptz,
  -- When it was last asked for: a decision can be asked to be carried out again.
  requested_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at        timestamptz,
  finished_at       timestamptz,
  created_at        timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind = 'approval') = (approval_id IS NOT NULL)),
  CHECK ((kind = 'answer') = (message_id IS NOT NULL))
);
CREATE INDEX turn_of_conversation ON chat.turn (conversation_id, id DESC);
-- A decision is carried out by one turn, however often it is sent.
CREATE UNIQUE INDEX turn_of_approval ON chat.turn (approval_id) WHERE approval_id IS NOT NULL;
-- The limit per tenant counts them, the sweeper looks for old ones.
CREATE INDEX turn_open_of_tenant ON chat.turn (tenant_id) WHERE state IN ('requested', 'running');
CREATE INDEX turn_open ON chat.turn (requested_at) WHERE state IN ('requested', 'running');

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['conversation', 'message', 'turn'] LOOP
    EXECUTE format('ALTER TABLE chat.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format($sql$CREATE POLICY tenant ON chat.%I TO ragline_chat
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON chat.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;
-- A worker watches the turns that it runs, and the sweeper those that nobody runs, of all tenants: ids and states.
CREATE POLICY operator ON chat.turn FOR SELECT TO ragline_chat
  USING ((SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'));

GRANT SELECT, INSERT, UPDATE ON chat.conversation, chat.message, chat.turn TO ragline_chat;
