-- What people do with letters: batches, and what was claimed for sending and is not known to be sent.

SELECT ops.create_idempotency('dead_letters', 'ragline_dead_letters');
CREATE POLICY owner ON dead_letters.idempotency TO CURRENT_USER USING (true);
GRANT EXECUTE ON FUNCTION ops.prune_idempotency TO ragline_dead_letters;

-- Letters of groups without order, from the claim until Kafka has the record. A row that outlives `until` is of a process
-- that died in between: whoever finds it sends the record again, and the group's inbox knows the second one.
CREATE TABLE dead_letters.sending (
  letter_id uuid PRIMARY KEY REFERENCES dead_letters.letter ON DELETE CASCADE,
  tenant_id uuid,
  -- Of the letter when it was claimed: who marks an earlier claim as sent must not end a later one.
  version   bigint NOT NULL,
  until     timestamptz NOT NULL
);
CREATE INDEX sending_until ON dead_letters.sending (until);

-- Letters that wait again because nobody answered their replay: the group may still handle it, and then they are resolved.
CREATE TABLE dead_letters.unanswered (
  letter_id uuid PRIMARY KEY REFERENCES dead_letters.letter ON DELETE CASCADE,
  tenant_id uuid,
  look_at   timestamptz NOT NULL
);
CREATE INDEX unanswered_look_at ON dead_letters.unanswered (look_at);

CREATE TABLE dead_letters.batch (
  -- UUIDv7
  id               uuid PRIMARY KEY,
  -- Whose letters it may touch; null: all, an operator's.
  tenant_id        uuid,
  actor_user_id    uuid NOT NULL,
  actor_tenant_id  uuid NOT NULL,
  action           text NOT NULL CHECK (action IN ('replay', 'discard')),
  reason           text NOT NULL,
  -- What was asked for, to be shown: {filter} or {ids: how many}.
  selection        json NOT NULL,
  state            text NOT NULL CHECK (state IN ('scheduled', 'running', 'paused', 'stopped', 'cancelled', 'done')),
  state_reason     text,
  rate_per_s       double precision,
  ramp             int[] NOT NULL DEFAULT '{}',
  in_flight_max    int NOT NULL,
  stop_on_failures int,
  starts_at        timestamptz NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at      timestamptz,
  -- Sums of the items' states, changed in the same transactions: nobody counts a million items.
  selected         int NOT NULL DEFAULT 0,
  pending          int NOT NULL DEFAULT 0,
  in_flight        int NOT NULL DEFAULT 0,
  resolved         int NOT NULL DEFAULT 0,
  discarded        int NOT NULL DEFAULT 0,
  failed           int NOT NULL DEFAULT 0,
  skipped          int NOT NULL DEFAULT 0,
  -- Failures before the last resume: they stop nothing any more.
  forgiven         int NOT NULL DEFAULT 0,
  -- The instance that runs it, and until when without a sign of life.
  runner           text,
  lease_until      timestamptz,
  -- Nobody need look before: it waits for its rate or for outcomes. Null: not looked at yet.
  look_at          timestamptz,
  CHECK (selected = pending + in_flight + resolved + discarded + failed + skipped)
);
CREATE INDEX batch_tenant ON dead_letters.batch (tenant_id, id);
-- What there is to do; few rows ever.
CREATE INDEX batch_open ON dead_letters.batch (starts_at) WHERE state IN ('scheduled', 'running') OR in_flight > 0;

CREATE TABLE dead_letters.batch_item (
  batch_id  uuid NOT NULL REFERENCES dead_letters.batch ON DELETE CASCADE,
  n         int NOT NULL,
  -- Of the batch, not of the letter: without a reference to it, since a letter may be forgotten before its batch.
  tenant_id uuid,
  letter_id uuid NOT NULL,
  state     text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'resolved', 'discarded', 'failed', 'skipped')),
  -- When it was behind another record of its line, or locked by somebody: not tried again before this.
  not_before timestamptz,
  -- Why it was skipped.
  detail    text,
  PRIMARY KEY (batch_id, n)
);
CREATE UNIQUE INDEX batch_item_letter ON dead_letters.batch_item (batch_id, letter_id);
CREATE INDEX batch_item_pending ON dead_letters.batch_item (batch_id, n) WHERE state = 'pending';
CREATE INDEX batch_item_sent ON dead_letters.batch_item (batch_id, letter_id) WHERE state = 'sent';

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['sending', 'unanswered', 'batch', 'batch_item'] LOOP
    EXECUTE format('ALTER TABLE dead_letters.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    -- As subqueries, for the planner's guesses: see 0401.
    EXECUTE format($sql$CREATE POLICY scope ON dead_letters.%I TO ragline_dead_letters
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
             OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON dead_letters.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters.sending, dead_letters.unanswered, dead_letters.batch, dead_letters.batch_item TO ragline_dead_letters;
