-- What a user wants to hear of, when, and how; see docs/decisions/0145 to 0148.

-- Nothing was ever put: no row, and the defaults hold.
CREATE TABLE notifications.preference (
  tenant_id  uuid NOT NULL,
  user_id    uuid NOT NULL,
  version    bigint NOT NULL,
  -- {events: {kind: {list, live}}, quiet_hours, digest_minutes}; of the events those that differ from the default.
  rules      jsonb NOT NULL,
  -- Kinds that his list leaves out: the same as in rules, as a list's statement can use it.
  unlisted   text[] NOT NULL,
  -- What held before, newest first: [{from, rules}]. What was made then is judged by it.
  history    jsonb NOT NULL,
  -- Whether his last token said that he is staff: such a digest also counts what is for all staff.
  is_staff   boolean NOT NULL,
  -- When he last put preferences or followed his notifications, to the day: nobody makes digests for who has gone.
  seen_at    timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);

-- From when to when notifications are held for one digest. A user who holds nothing has none, so that nobody ever
-- looks at all users.
CREATE TABLE notifications.digest_window (
  tenant_id uuid NOT NULL,
  user_id   uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at   timestamptz NOT NULL,
  -- When it is told: its end, or later, when that is in quiet hours.
  due_at    timestamptz NOT NULL,
  -- True: the preferences were changed, and the next window has begun already.
  is_last   boolean NOT NULL DEFAULT false,
  -- The rules that hold in it.
  rules     jsonb NOT NULL,
  PRIMARY KEY (tenant_id, user_id, starts_at)
);
CREATE INDEX digest_window_due ON notifications.digest_window (due_at);
CREATE UNIQUE INDEX digest_window_running ON notifications.digest_window (tenant_id, user_id) WHERE NOT is_last;

-- A digest of a member of staff counts what is for staff: he sees it while he is staff.
ALTER TABLE notifications.notification ADD COLUMN while_staff boolean NOT NULL DEFAULT false;

-- For staff who leave new orders out of their list, which are nearly all there is.
CREATE INDEX notification_of_staff_rare ON notifications.notification (tenant_id, id DESC)
  WHERE audience = 'staff' AND kind <> 'order_created';

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['preference', 'digest_window'] LOOP
    EXECUTE format('ALTER TABLE notifications.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    -- The operator's scope: the scheduler of digests, and what instances read again of those who are connected to them.
    EXECUTE format($sql$CREATE POLICY scope ON notifications.%I TO ragline_notifications
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
             OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON notifications.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON notifications.preference TO ragline_notifications;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications.digest_window TO ragline_notifications;
