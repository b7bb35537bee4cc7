-- Alerts about dead letters, and the messages that leave about them. What they are made of is counted by 0401.

-- tenant_id null: the operator's, about the letters of all tenants. group_id null: all groups together; '*': each group by
-- itself, unless it has a rule of its own.
CREATE TABLE dead_letters.alert_rule (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  tenant_id uuid,
  kind text NOT NULL CHECK (kind IN ('volume', 'oldest_age', 'failure_rate')),
  group_id text,
  raise_at double precision NOT NULL,
  clear_below double precision NOT NULL,
  raise_after_s integer NOT NULL CHECK (raise_after_s >= 0),
  clear_after_s integer NOT NULL CHECK (clear_after_s >= 0),
  CHECK (clear_below > 0 AND clear_below <= raise_at),
  UNIQUE NULLS NOT DISTINCT (tenant_id, kind, group_id)
);
-- volume in letters that wait, oldest_age in seconds, failure_rate in letters a minute.
INSERT INTO dead_letters.alert_rule (kind, group_id, raise_at, clear_below, raise_after_s, clear_after_s) VALUES
  ('volume', '*', 100, 50, 60, 300),
  ('volume', NULL, 1000, 500, 60, 300),
  ('oldest_age', '*', 86400, 43200, 0, 300),
  ('failure_rate', '*', 30, 5, 60, 300),
  ('failure_rate', NULL, 100, 20, 60, 300);

CREATE TABLE dead_letters.alert (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  tenant_id uuid,
  kind text NOT NULL,
  group_id text,
  state text NOT NULL CHECK (state IN ('pending', 'raised', 'cleared')),
  value double precision NOT NULL,
  threshold double precision NOT NULL,
  pending_since timestamptz NOT NULL,
  raised_at timestamptz,
  below_since timestamptz,
  cleared_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by uuid,
  silenced_until timestamptz,
  silenced_by uuid,
  CHECK ((state = 'pending') = (raised_at IS NULL)),
  CHECK ((state = 'cleared') = (cleared_at IS NOT NULL))
);
-- What is watched has one alert at a time.
CREATE UNIQUE INDEX alert_open ON dead_letters.alert (tenant_id, kind, group_id) NULLS NOT DISTINCT WHERE state <> 'cleared';
CREATE INDEX alert_cleared ON dead_letters.alert (cleared_at DESC) WHERE state = 'cleared';

ALTER TABLE dead_letters.alert_rule ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE dead_letters.alert ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON dead_letters.alert_rule TO ragline_dead_letters
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid
         OR coalesce(current_setting('ragline.scope', true), '') = 'operator');
CREATE POLICY scope ON dead_letters.alert TO ragline_dead_letters
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid
         OR coalesce(current_setting('ragline.scope', true), '') = 'operator');
CREATE POLICY owner ON dead_letters.alert_rule TO CURRENT_USER USING (true);
CREATE POLICY owner ON dead_letters.alert TO CURRENT_USER USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters.alert_rule, dead_letters.alert TO ragline_dead_letters;

-- What is to be posted to ALERT_URL. The row is made with the alert, and stays until it was taken or given up: a process
-- that is killed in between loses none. Its id is the message's, so a receiver knows a second copy.
CREATE TABLE dead_letters.alert_delivery (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  alert_id uuid NOT NULL REFERENCES dead_letters.alert ON DELETE CASCADE,
  event_type text NOT NULL CHECK (event_type IN ('alert_raised', 'alert_cleared')),
  body text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  delivered boolean NOT NULL DEFAULT false,
  error text
);
CREATE INDEX alert_delivery_due ON dead_letters.alert_delivery (next_at) WHERE finished_at IS NULL;
CREATE INDEX alert_delivery_alert ON dead_letters.alert_delivery (alert_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters.alert_delivery TO ragline_dead_letters;
