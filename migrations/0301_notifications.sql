-- Notifications: one row for whom it is for, and one mark for each user who read it.
--
-- A tenant's staff is not known here (users are identity's), so what is for all of them is one row addressed to
-- the role; who holds the role sees it, and reads it for himself alone. See docs/decisions/0031.
CREATE TABLE notifications.notification (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('user', 'staff')),
  user_id uuid,
  kind text NOT NULL,
  event_id uuid NOT NULL,
  order_id uuid,
  title text NOT NULL,
  created_at timestamptz NOT NULL,
  CHECK ((audience = 'user') = (user_id IS NOT NULL)),
  -- A second net below the inbox: an event makes one notification for an audience.
  UNIQUE (event_id, audience)
);
-- Ids are UUIDv7, so their order is that of time.
CREATE INDEX notification_of_user ON notifications.notification (tenant_id, user_id, id DESC) WHERE audience = 'user';
CREATE INDEX notification_of_staff ON notifications.notification (tenant_id, id DESC) WHERE audience = 'staff';

CREATE TABLE notifications.notification_read (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  notification_id uuid NOT NULL REFERENCES notifications.notification ON DELETE CASCADE,
  read_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id, notification_id)
);
CREATE INDEX notification_read_notification ON notifications.notification_read (notification_id);

ALTER TABLE notifications.notification ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE notifications.notification_read ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notifications.notification
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON notifications.notification_read
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT ON notifications.notification TO ragline_notifications;
GRANT SELECT, INSERT ON notifications.notification_read TO ragline_notifications;
