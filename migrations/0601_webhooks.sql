-- Webhooks: what a tenant wants to be told of, what is to be told, and how each try went. See docs/decisions/0140.

CREATE TABLE notifications.webhook (
  id              uuid PRIMARY KEY,
  tenant_id       uuid NOT NULL,
  url             text NOT NULL,
  event_types     text[] NOT NULL,
  description     text,
  active          boolean NOT NULL DEFAULT true,
  -- Why RAGline switched it off; null where it did not.
  disabled_reason text CHECK (disabled_reason IN ('gone', 'failing', 'exhausted')),
  disabled_at     timestamptz,
  created_by      uuid NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Is no more, for everybody: its deliveries are deleted bit by bit, this row after them.
  removed_at      timestamptz,
  -- Its breaker. Tries that failed since the last one that did not; since when; deliveries given up in a row.
  failures        integer NOT NULL DEFAULT 0,
  failing_since   timestamptz,
  exhausted       integer NOT NULL DEFAULT 0,
  -- Nothing is sent before; then one try, unless it was a receiver that asked for the pause.
  open_until      timestamptz,
  CHECK ((disabled_reason IS NULL) = (disabled_at IS NULL)),
  CHECK (NOT active OR disabled_reason IS NULL),
  CHECK (NOT active OR removed_at IS NULL)
);
CREATE INDEX webhook_of_tenant ON notifications.webhook (tenant_id, id DESC);
CREATE INDEX webhook_removed ON notifications.webhook (id) WHERE removed_at IS NOT NULL;

-- The secrets that sign: the present one, and those before it for as long as both are good.
CREATE TABLE notifications.webhook_secret (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  webhook_id uuid NOT NULL REFERENCES notifications.webhook ON DELETE CASCADE,
  -- `key id:base64` of AES-256-GCM, bound to this row.
  sealed     text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- null: the present one.
  expires_at timestamptz
);
CREATE UNIQUE INDEX webhook_secret_present ON notifications.webhook_secret (webhook_id) WHERE expires_at IS NULL;
CREATE INDEX webhook_secret_of_webhook ON notifications.webhook_secret (webhook_id, id DESC);

-- What is told, once for all endpoints that are told it.
CREATE TABLE notifications.webhook_message (
  id          uuid PRIMARY KEY,
  tenant_id   uuid NOT NULL,
  event_id    uuid NOT NULL,
  event_type  text NOT NULL,
  occurred_at timestamptz NOT NULL,
  -- As it is signed and sent, to the byte.
  body        text NOT NULL,
  traceparent text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- A second net below the inbox: an event is one message.
CREATE UNIQUE INDEX webhook_message_event ON notifications.webhook_message (event_id);
CREATE INDEX webhook_message_created_at ON notifications.webhook_message (created_at);

CREATE TABLE notifications.webhook_delivery (
  -- The webhook-id of every try.
  id            uuid PRIMARY KEY,
  tenant_id     uuid NOT NULL,
  webhook_id    uuid NOT NULL REFERENCES notifications.webhook ON DELETE CASCADE,
  message_id    uuid NOT NULL REFERENCES notifications.webhook_message ON DELETE CASCADE,
  state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
  -- Tries that were begun, ever; and those since it was last asked for, which place it in the schedule.
  attempts      integer NOT NULL DEFAULT 0,
  tries         integer NOT NULL DEFAULT 0,
  next_at       timestamptz,
  -- Who is sending it, and until when nobody else may.
  claim         uuid,
  claimed_until timestamptz,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at   timestamptz,
  UNIQUE (webhook_id, message_id),
  CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
  CHECK ((state = 'waiting') = (finished_at IS NULL)),
  CHECK ((claim IS NULL) = (claimed_until IS NULL)),
  CHECK (claim IS NULL OR state = 'waiting')
);
CREATE INDEX webhook_delivery_due ON notifications.webhook_delivery (webhook_id, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_claimed ON notifications.webhook_delivery (tenant_id, webhook_id) WHERE claim IS NOT NULL;
CREATE INDEX webhook_delivery_of_webhook ON notifications.webhook_delivery (webhook_id, id DESC);
-- Few of many: they are what is looked for.
CREATE INDEX webhook_delivery_failed ON notifications.webhook_delivery (webhook_id, id DESC) WHERE state = 'failed';
CREATE INDEX webhook_delivery_of_message ON notifications.webhook_delivery (message_id);

CREATE TABLE notifications.webhook_attempt (
  tenant_id   uuid NOT NULL,
  delivery_id uuid NOT NULL REFERENCES notifications.webhook_delivery ON DELETE CASCADE,
  number      integer NOT NULL,
  at          timestamptz NOT NULL,
  duration_ms integer,
  -- null: no answer came.
  status      integer,
  error_code  text,
  -- The first 4 KiB of the answer.
  answer      text,
  PRIMARY KEY (delivery_id, number)
);

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['webhook', 'webhook_secret', 'webhook_message', 'webhook_delivery', 'webhook_attempt'] LOOP
    EXECUTE format('ALTER TABLE notifications.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    -- The group stores the deliveries of all tenants in one transaction.
    EXECUTE format($sql$CREATE POLICY scope ON notifications.%I TO ragline_notifications
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
             OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON notifications.%I TO CURRENT_USER USING (true)', v_table);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON notifications.%I TO ragline_notifications', v_table);
  END LOOP;
END $$;

INSERT INTO streams.group_role VALUES ('webhooks', 'ragline_notifications');

-- Takes what is due for one sender: p_max at most, and of each endpoint so many that no more than p_per_endpoint are
-- under way, whoever sends them; of one that has failed p_open_after times in a row, one; of all of a tenant's, p_per_tenant
-- (two claims at one time may go beyond it, each by what it takes). Another claim that looks at an endpoint at this moment
-- keeps it: what it leaves is found at the next look. What was lost again and again waits for five minutes.
--
-- Two statements and not one: what is under way is counted by a snapshot taken after the endpoint is locked.
CREATE FUNCTION notifications.claim_webhooks(
  p_claim uuid, p_max integer, p_per_endpoint integer, p_open_after integer, p_lease_ms integer, p_per_tenant integer
) RETURNS TABLE (
  delivery_id uuid, tenant_id uuid, webhook_id uuid, attempt integer, tries integer, url text, secrets jsonb, body text,
  event_type text, traceparent text, age_ms double precision, lost boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_lost constant interval := '5 minutes';
  v_ready uuid[];
BEGIN
  WITH RECURSIVE line(id) AS (
    -- From endpoint to endpoint by the index: their lines may be long.
    (SELECT d.webhook_id FROM notifications.webhook_delivery d
      WHERE d.state = 'waiting' ORDER BY d.webhook_id, d.next_at LIMIT 1)
    UNION ALL
    SELECT (SELECT d.webhook_id FROM notifications.webhook_delivery d
             WHERE d.state = 'waiting' AND d.webhook_id > line.id ORDER BY d.webhook_id, d.next_at LIMIT 1)
      FROM line WHERE line.id IS NOT NULL
  ), locked AS (
    SELECT w.id FROM notifications.webhook w
     WHERE w.id IN (SELECT line.id FROM line)
       AND w.active AND (w.open_until IS NULL OR w.open_until <= v_now)
       AND EXISTS (SELECT FROM notifications.webhook_delivery d
                    WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.next_at <= v_now
                      AND (d.claimed_until IS NULL
                           OR d.claimed_until <= v_now - CASE WHEN d.attempts - d.tries >= 5 THEN v_lost ELSE '0' END))
       AND (SELECT count(*) FROM notifications.webhook_delivery d
             WHERE d.tenant_id = w.tenant_id AND d.claim IS NOT NULL AND d.claimed_until > v_now) < p_per_tenant
       AND (SELECT count(*) FROM notifications.webhook_delivery d
             WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.claim IS NOT NULL AND d.claimed_until > v_now)
           < CASE WHEN w.failures >= p_open_after THEN 1 ELSE p_per_endpoint END
     -- Of many, any: whichever came first by its id would come first each time.
     ORDER BY random() LIMIT p_max
       -- Not FOR UPDATE: what is stored for an endpoint refers to it, and must not wait.
       FOR NO KEY UPDATE OF w SKIP LOCKED
  )
  SELECT array_agg(id) INTO v_ready FROM locked;
  IF v_ready IS NULL THEN
    RETURN;
  END IF;

  RETURN QUERY
  WITH room AS (
    SELECT w.id, w.tenant_id, CASE WHEN w.failures >= p_open_after THEN 1 ELSE p_per_endpoint END
                 - (SELECT count(*)::int FROM notifications.webhook_delivery d
                     WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.claim IS NOT NULL AND d.claimed_until > v_now) AS free
      FROM notifications.webhook w WHERE w.id = ANY (v_ready)
  ), tenant AS (
    SELECT t.tenant_id, p_per_tenant - (SELECT count(*)::int FROM notifications.webhook_delivery d
             WHERE d.tenant_id = t.tenant_id AND d.claim IS NOT NULL AND d.claimed_until > v_now) AS free
      FROM (SELECT DISTINCT room.tenant_id FROM room) t
  ), due AS (
    SELECT d.id, d.next_at, room.tenant_id, row_number() OVER (PARTITION BY room.id ORDER BY d.next_at) AS place
      FROM room CROSS JOIN LATERAL (
        SELECT d.id, d.next_at FROM notifications.webhook_delivery d
         WHERE d.webhook_id = room.id AND d.state = 'waiting' AND d.next_at <= v_now
           AND (d.claimed_until IS NULL
                OR d.claimed_until <= v_now - CASE WHEN d.attempts - d.tries >= 5 THEN v_lost ELSE '0' END)
         ORDER BY d.next_at LIMIT greatest(room.free, 0)
           FOR UPDATE SKIP LOCKED) d
  ), fair AS (
    SELECT due.*, row_number() OVER (PARTITION BY due.tenant_id ORDER BY due.place, due.next_at) AS of_tenant FROM due
  ), chosen AS (
    -- The first of each endpoint before the second of any.
    SELECT fair.id FROM fair JOIN tenant ON tenant.tenant_id = fair.tenant_id
     WHERE fair.of_tenant <= tenant.free ORDER BY fair.place, fair.next_at LIMIT p_max
  ), before AS (
    SELECT d.id, d.claim IS NOT NULL AS lost FROM notifications.webhook_delivery d
     WHERE d.id IN (SELECT chosen.id FROM chosen)
  ), claimed AS (
    UPDATE notifications.webhook_delivery d
       SET claim = p_claim, claimed_until = v_now + make_interval(secs => p_lease_ms / 1000.0), attempts = d.attempts + 1
      FROM before WHERE d.id = before.id
    RETURNING d.*, before.lost
  ), unheard AS (
    -- Whoever had it ended before he could say how it went.
    INSERT INTO notifications.webhook_attempt (tenant_id, delivery_id, number, at, error_code)
    SELECT c.tenant_id, c.id, c.attempts - 1, v_now, 'interrupted' FROM claimed c WHERE c.lost
    ON CONFLICT DO NOTHING
  )
  SELECT c.id, c.tenant_id, c.webhook_id, c.attempts, c.tries, w.url,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'sealed', s.sealed) ORDER BY s.id DESC), '[]')
            FROM notifications.webhook_secret s
           WHERE s.webhook_id = c.webhook_id AND (s.expires_at IS NULL OR s.expires_at > v_now)),
         m.body, m.event_type, m.traceparent,
         (extract(epoch FROM v_now - m.occurred_at) * 1000)::double precision, c.lost
    FROM claimed c
    JOIN notifications.webhook w ON w.id = c.webhook_id
    JOIN notifications.webhook_message m ON m.id = c.message_id;
END
$$;

-- What all tenants' webhooks are like together, for metrics.
CREATE FUNCTION notifications.measure_webhooks() RETURNS TABLE (
  active bigint, failing bigint, paused bigint, disabled bigint, waiting bigint, overdue_s double precision
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*) FILTER (WHERE w.active AND w.failures = 0),
         count(*) FILTER (WHERE w.active AND w.failures > 0),
         count(*) FILTER (WHERE NOT w.active AND w.disabled_reason IS NULL),
         count(*) FILTER (WHERE w.disabled_reason IS NOT NULL),
         -- More is as bad, and counting it would take its time.
         (SELECT count(*) FROM (
            SELECT FROM notifications.webhook_delivery d JOIN notifications.webhook o ON o.id = d.webhook_id
             WHERE d.state = 'waiting' AND o.removed_at IS NULL LIMIT 100000) counted),
         -- Of endpoints that answer: one that does not is late by its own doing.
         coalesce((SELECT extract(epoch FROM clock_timestamp() - min(first.next_at))::double precision
            FROM notifications.webhook h CROSS JOIN LATERAL (
              SELECT d.next_at FROM notifications.webhook_delivery d
               WHERE d.webhook_id = h.id AND d.state = 'waiting' ORDER BY d.next_at LIMIT 1) first
           WHERE h.active AND h.failures = 0 AND coalesce(h.open_until <= clock_timestamp(), true) AND first.next_at < clock_timestamp()), 0)
    FROM notifications.webhook w WHERE w.removed_at IS NULL
$$;

-- Forgets messages of more than p_days, with their deliveries and tries, endpoints that were removed, and secrets past their
-- time: p_rows deliveries and p_rows messages at a time, since all tries of each go along. How many rows; call it until
-- there are none. One instance at a time: the others find the lock taken and have nothing to do.
CREATE FUNCTION notifications.prune_webhooks(p_days integer, p_rows integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_before timestamptz := clock_timestamp() - make_interval(days => p_days);
  v_old uuid[];
  v_deliveries bigint;
  v_messages bigint;
  v_webhooks bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.webhooks.prune', 0)) THEN
    RETURN 0;
  END IF;
  DELETE FROM notifications.webhook_secret WHERE expires_at <= clock_timestamp();
  v_old := ARRAY(SELECT m.id FROM notifications.webhook_message m
                  WHERE m.created_at < v_before ORDER BY m.created_at LIMIT p_rows);
  DELETE FROM notifications.webhook_delivery d WHERE d.id = ANY (ARRAY(
    (SELECT o.id FROM notifications.webhook_delivery o WHERE o.message_id = ANY (v_old) LIMIT p_rows)
    UNION
    (SELECT o.id FROM notifications.webhook w JOIN notifications.webhook_delivery o ON o.webhook_id = w.id
      WHERE w.removed_at IS NOT NULL LIMIT p_rows)
    LIMIT p_rows));
  GET DIAGNOSTICS v_deliveries = ROW_COUNT;
  DELETE FROM notifications.webhook_message m
   WHERE m.id = ANY (v_old)
     AND NOT EXISTS (SELECT FROM notifications.webhook_delivery d WHERE d.message_id = m.id);
  GET DIAGNOSTICS v_messages = ROW_COUNT;
  DELETE FROM notifications.webhook w
   WHERE w.removed_at IS NOT NULL
     AND NOT EXISTS (SELECT FROM notifications.webhook_delivery d WHERE d.webhook_id = w.id);
  GET DIAGNOSTICS v_webhooks = ROW_COUNT;
  RETURN v_deliveries + v_messages + v_webhooks;
END
$$;

REVOKE EXECUTE ON FUNCTION notifications.claim_webhooks, notifications.measure_webhooks, notifications.prune_webhooks
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION notifications.claim_webhooks, notifications.measure_webhooks, notifications.prune_webhooks
  TO ragline_notifications;
