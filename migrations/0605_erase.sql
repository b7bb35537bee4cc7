-- A person is erased: one function for each schema, beside the tables that it is about, so that whoever adds a table adds
-- its line here (tools/src/erase/columns.ts names every column, and a test compares). See docs/decisions/0160.
--
-- Nobody is granted any of them: they are for the owner of the database, who is whoever runs `ragline erase`. All may be
-- called again, also after half of the work: what is gone is not found, and counts nothing.
--
-- p_texts: what names the person (the address, and what the operator adds); p_keys: keys of records about the person.

-- Whether a text that is somewhere in the other, both in small letters, stands there by itself. Only an address has to: it may
-- be the end of another one (joann@ of ann@) or its beginning (.example.org of .example). What is escaped before it (\n and
-- \u003c of JSON, \303 of bytes, %3c) is no letter of it; nor need be what stands beside it in binary bytes, where a length
-- looks like a letter, so there any place counts. In doubt it stands by itself. tools/src/erase/judge.ts decides the same.
CREATE FUNCTION ops.stands_alone(p_text text, p_needle text) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
  RETURN p_needle !~ '^[^[:space:]@]+@[^[:space:]@]+$'
      OR p_text ~ '[\x01-\x08\x0b\x0c\x0e-\x1f]|\\000'
      OR p_text ~ ('(?:(?<![a-z0-9])(?<![a-z0-9][._%+-])|(?<=(?:\\[bfnrt]|\\u[0-9a-f]{4}|\\[0-7]{3}|%[0-9a-f]{2})[._%+-]?))'
                   || regexp_replace(p_needle, '([][\\.*+?(){}|^$])', '\\\1', 'g') || '(?![a-z0-9]|-[a-z0-9]|\.[a-z])');

-- Loops, since they are asked of every row there is: a query inside costs more than the search.
CREATE FUNCTION ops.mentions(p_text text, p_texts text[]) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text := lower(p_text);
  v_needle text;
BEGIN
  FOREACH v_needle IN ARRAY p_texts LOOP
    IF position(lower(v_needle) IN v_text) > 0 AND ops.stands_alone(v_text, lower(v_needle)) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- Bytes of anything, in which ASCII's letters are found small or large.
CREATE FUNCTION ops.mentions(p_bytes bytea, p_texts text[]) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text := lower(encode(p_bytes, 'escape'));
  v_needle text;
BEGIN
  FOREACH v_needle IN ARRAY p_texts LOOP
    v_needle := lower(encode(convert_to(v_needle, 'UTF8'), 'escape'));
    IF position(v_needle IN v_text) > 0 AND ops.stands_alone(v_text, v_needle) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- That it was done, and when: ids and numbers, no name. Two rows an erasure, of which none is ever changed.
CREATE TABLE ops.erasure (
  id         uuid NOT NULL,
  step       text NOT NULL CHECK (step IN ('begun', 'done')),
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  tenant_id  uuid NOT NULL,
  -- Once identity's row is gone, it leads to nobody.
  user_id    uuid NOT NULL,
  -- What was found, by store.
  counts     jsonb NOT NULL DEFAULT '{}',
  -- Where something was left, and why.
  remaining  jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (id, step)
);
CREATE INDEX erasure_of_user ON ops.erasure (user_id);
COMMENT ON TABLE ops.erasure IS 'Audit: insert only.';
ALTER TABLE ops.erasure ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON ops.erasure TO CURRENT_USER USING (true);

CREATE FUNCTION ops.refuse_change() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is an audit: its rows are never changed', tg_relid::regclass;
END $$;
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.erasure
  FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- The first step: the account is closed, its sessions end, its tokens are void. Gives the moment before which they are,
-- for the event; null when there is no such user.
CREATE FUNCTION identity.lock_out(p_tenant uuid, p_user uuid) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz;
BEGIN
  PERFORM FROM identity.tenant t WHERE t.id = p_tenant FOR NO KEY UPDATE;
  -- A millisecond ahead, as at every change of a user: see docs/decisions/0051.
  UPDATE identity.user_account u
     SET active = false, tokens_void_before = date_trunc('milliseconds', clock_timestamp()) + interval '1 ms',
         updated_at = clock_timestamp()
   WHERE u.tenant_id = p_tenant AND u.id = p_user
   RETURNING u.tokens_void_before INTO v_at;
  UPDATE identity.session s SET revoked_at = clock_timestamp(), revoked_reason = 'erased'
   WHERE s.user_id = p_user AND s.revoked_at IS NULL;
  DELETE FROM identity.ticket t WHERE t.user_id = p_user;
  RETURN v_at;
END $$;

-- The last step: the account, and with it who the user id was. Also the answers that were kept for whoever made it.
CREATE FUNCTION identity.erase_user(p_tenant uuid, p_user uuid, p_texts text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_answers bigint;
  v_sessions bigint;
  v_accounts bigint;
BEGIN
  DELETE FROM identity.idempotency i
   WHERE i.tenant_id = p_tenant
     AND (i.user_id = p_user OR ops.mentions(i.body::text || i.headers::text, p_texts || p_user::text));
  GET DIAGNOSTICS v_answers = ROW_COUNT;
  -- Refresh tokens and tickets go with their session.
  DELETE FROM identity.session s WHERE s.user_id = p_user;
  GET DIAGNOSTICS v_sessions = ROW_COUNT;
  DELETE FROM identity.user_account u WHERE u.tenant_id = p_tenant AND u.id = p_user;
  GET DIAGNOSTICS v_accounts = ROW_COUNT;
  RETURN jsonb_build_object('answers', v_answers, 'sessions', v_sessions, 'accounts', v_accounts);
END $$;

-- Orders stay, for the books; what the customer or staff wrote on them goes.
CREATE FUNCTION orders.erase_user(p_tenant uuid, p_user uuid, p_texts text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_orders bigint;
  v_items bigint;
  v_keys bigint;
  v_answers bigint;
BEGIN
  UPDATE orders.order_item i SET notes = NULL
    FROM orders.orders o
   WHERE o.tenant_id = p_tenant AND o.user_id = p_user
     AND i.tenant_id = p_tenant AND i.order_id = o.id AND i.notes IS NOT NULL;
  GET DIAGNOSTICS v_items = ROW_COUNT;
  UPDATE orders.orders o SET notes = NULL, cancel_reason = NULL
   WHERE o.tenant_id = p_tenant AND o.user_id = p_user AND (o.notes IS NOT NULL OR o.cancel_reason IS NOT NULL);
  GET DIAGNOSTICS v_orders = ROW_COUNT;
  DELETE FROM orders.order_key k
   WHERE k.tenant_id = p_tenant AND (k.user_id = p_user OR ops.mentions(k.answer, p_texts));
  GET DIAGNOSTICS v_keys = ROW_COUNT;
  -- Staff's keys too: the answer to a step of an order is the order.
  DELETE FROM orders.idempotency i
   WHERE i.tenant_id = p_tenant
     AND (i.user_id = p_user OR ops.mentions(i.body::text || i.headers::text, p_texts || p_user::text));
  GET DIAGNOSTICS v_answers = ROW_COUNT;
  RETURN jsonb_build_object('orders', v_orders, 'items', v_items, 'answers', v_keys + v_answers);
END $$;

-- What was told to the person, and how he wanted it told. What was told to staff of his orders names nobody. Messages to
-- webhooks carry ids alone, but an endpoint may have answered with whatever it knows of the person.
CREATE FUNCTION notifications.erase_user(p_tenant uuid, p_user uuid, p_texts text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_notifications bigint;
  v_marks bigint;
  v_preferences bigint;
  v_webhooks bigint;
  v_answers bigint;
BEGIN
  DELETE FROM notifications.notification_read r WHERE r.tenant_id = p_tenant AND r.user_id = p_user;
  GET DIAGNOSTICS v_marks = ROW_COUNT;
  DELETE FROM notifications.notification n WHERE n.tenant_id = p_tenant AND n.user_id = p_user;
  GET DIAGNOSTICS v_notifications = ROW_COUNT;
  DELETE FROM notifications.preference p WHERE p.tenant_id = p_tenant AND p.user_id = p_user;
  GET DIAGNOSTICS v_preferences = ROW_COUNT;
  DELETE FROM notifications.digest_window w WHERE w.tenant_id = p_tenant AND w.user_id = p_user;
  UPDATE notifications.webhook_attempt a SET answer = NULL
    FROM notifications.webhook_delivery d JOIN notifications.webhook_message m ON m.id = d.message_id
   WHERE a.delivery_id = d.id AND a.tenant_id = p_tenant AND a.answer IS NOT NULL
     AND (ops.mentions(m.body, ARRAY[p_user::text]) OR ops.mentions(a.answer, p_texts || p_user::text));
  GET DIAGNOSTICS v_webhooks = ROW_COUNT;
  DELETE FROM notifications.idempotency i
   WHERE i.tenant_id = p_tenant
     AND (i.user_id = p_user OR ops.mentions(i.body::text || i.headers::text, p_texts || p_user::text));
  GET DIAGNOSTICS v_answers = ROW_COUNT;
  RETURN jsonb_build_object('notifications', v_notifications, 'marks', v_marks, 'preferences', v_preferences,
                            'webhook_answers', v_webhooks, 'answers', v_answers);
END $$;

-- Asks what is being answered to stop; how many turns are open still.
CREATE FUNCTION chat.stop_user(p_tenant uuid, p_user uuid) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_open bigint;
BEGIN
  UPDATE chat.turn t SET stop_requested_at = coalesce(t.stop_requested_at, clock_timestamp())
   WHERE t.tenant_id = p_tenant AND t.user_id = p_user AND t.state IN ('requested', 'running');
  GET DIAGNOSTICS v_open = ROW_COUNT;
  RETURN v_open;
END $$;

-- Conversations whole: messages, turns, approvals and the tools' ledger go with them. What was used stays as numbers, since a
-- tenant's budget is the sum of it; documents are the tenant's own.
CREATE FUNCTION chat.erase_user(p_tenant uuid, p_user uuid, p_texts text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_messages bigint;
  v_conversations bigint;
  v_answers bigint;
BEGIN
  v_messages := (SELECT count(*) FROM chat.message m WHERE m.tenant_id = p_tenant AND m.user_id = p_user);
  DELETE FROM chat.conversation c WHERE c.tenant_id = p_tenant AND c.user_id = p_user;
  GET DIAGNOSTICS v_conversations = ROW_COUNT;
  DELETE FROM chat.idempotency i
   WHERE i.tenant_id = p_tenant
     AND (i.user_id = p_user OR ops.mentions(i.body::text || i.headers::text, p_texts || p_user::text));
  GET DIAGNOSTICS v_answers = ROW_COUNT;
  DELETE FROM chat.token_hold h WHERE h.tenant_id = p_tenant AND h.user_id = p_user;
  DELETE FROM chat.open_completion o WHERE o.tenant_id = p_tenant AND o.user_id = p_user;
  RETURN jsonb_build_object('conversations', v_conversations, 'messages', v_messages, 'answers', v_answers);
END $$;

-- Keys of records that are about the person: the records themselves may be bytes that nobody can read. The outbox knows
-- conversations that an earlier run has removed.
CREATE FUNCTION ops.keys_of_user(p_tenant uuid, p_user uuid) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT array_agg(key) FROM (
    SELECT p_user::text AS key
    UNION SELECT o.id::text FROM orders.orders o WHERE o.tenant_id = p_tenant AND o.user_id = p_user
    UNION SELECT c.id::text FROM chat.conversation c WHERE c.tenant_id = p_tenant AND c.user_id = p_user
    UNION SELECT b.aggregateid FROM chat.outbox b
           WHERE b.tenant_id = p_tenant AND b.user_id = p_user::text AND b.aggregatetype = 'chat.requests.v1'
  ) AS keys
$$;

-- Whether a record is about the person: by its header, by its key, or by what it says. A letter or a line of another tenant
-- is never looked at; one without a tenant is, since its header may be what was wrong with it.
CREATE FUNCTION ops.is_about(p_headers jsonb, p_value bytea, p_user uuid, p_texts text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
  RETURN p_headers -> 'user_id' ->> 't' = p_user::text
      OR p_headers -> 'user_id' @> jsonb_build_array(jsonb_build_object('t', p_user::text))
      OR ops.mentions(p_headers::text, p_texts) OR coalesce(ops.mentions(p_value, p_texts), false);

-- Parked records of the person are discarded, as an operator would; those behind them go on. `busy`: somebody has hold of
-- one at the moment, and it is to be called again.
CREATE FUNCTION streams.erase_user(p_tenant uuid, p_user uuid, p_texts text[], p_keys text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_record bigint;
  v_discarded bigint := 0;
  v_busy bigint := 0;
BEGIN
  FOR v_record IN
    SELECT r.id FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
     WHERE (r.tenant_id IS NULL OR lower(r.tenant_id) = p_tenant::text)
       AND (k.key = ANY (SELECT convert_to(key, 'UTF8') FROM unnest(p_keys) AS key)
            OR ops.is_about(r.headers, r.value, p_user, p_texts) OR ops.mentions(r.error::text, p_texts)
            OR ops.mentions(k.key, p_texts))
     ORDER BY r.id
  LOOP
    BEGIN
      IF streams.discard_one(NULL, v_record) = 'discarded' THEN
        v_discarded := v_discarded + 1;
      ELSE
        v_busy := v_busy + 1;
      END IF;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      v_busy := v_busy + 1;
    END;
  END LOOP;
  RETURN jsonb_build_object('parked', v_discarded, 'busy', v_busy);
END $$;

-- Letters of the person, with their attempts, notes and edits; notes on others' letters that name the person; answers that
-- were kept; and what the audit quotes. That something was done, by whom and when, stays in the audit.
CREATE FUNCTION dead_letters.erase_user(p_tenant uuid, p_user uuid, p_texts text[], p_keys text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ids uuid[];
  v_notes bigint;
  v_actions bigint;
  v_answers bigint;
BEGIN
  v_ids := ARRAY(
    SELECT l.id FROM dead_letters.letter l
     WHERE (l.tenant_id IS NULL OR l.tenant_id = p_tenant)
       AND (l.key_hash = ANY (ARRAY(SELECT md5(key) FROM unnest(p_keys) AS key))
            OR ops.is_about(l.headers, l.value, p_user, p_texts) OR ops.mentions(l.key, p_texts)
            OR ops.mentions(concat_ws(' ', l.decoded::text, l.error_message, l.error_stack, l.discard_reason), p_texts)
            OR EXISTS (SELECT FROM dead_letters.attempt a
                        WHERE a.letter_id = l.id AND ops.mentions(concat_ws(' ', a.error_message, a.error_stack), p_texts))
            OR EXISTS (SELECT FROM dead_letters.edit e
                        WHERE e.letter_id = l.id
                          AND (ops.is_about(e.headers_before, e.value_before, p_user, p_texts)
                               OR ops.is_about(e.headers_after, e.value_after, p_user, p_texts)))));
  DELETE FROM dead_letters.note n
   WHERE n.letter_id = ANY (v_ids)
      OR ((n.tenant_id IS NULL OR n.tenant_id = p_tenant) AND ops.mentions(n.text, p_texts));
  GET DIAGNOSTICS v_notes = ROW_COUNT;
  UPDATE dead_letters.action a SET detail = '{"erased": true}'
   WHERE (a.letter_id = ANY (v_ids) AND a.detail <> '{}' AND a.detail <> '{"erased": true}')
      OR ((a.tenant_id IS NULL OR a.tenant_id = p_tenant) AND ops.mentions(a.detail::text, p_texts));
  GET DIAGNOSTICS v_actions = ROW_COUNT;
  UPDATE dead_letters.batch b SET reason = 'erased', selection = '{}', state_reason = NULL
   WHERE (b.tenant_id IS NULL OR b.tenant_id = p_tenant)
     AND ops.mentions(concat_ws(' ', b.reason, b.selection::text, b.state_reason), p_texts);
  -- An operator's kept answers too, of whichever tenant: that to a replay or a discard is the letter.
  DELETE FROM dead_letters.idempotency i
   WHERE i.user_id = p_user
      OR (i.tenant_id = p_tenant AND ops.mentions(i.body::text || i.headers::text, p_texts))
      OR ops.mentions(i.body::text || i.headers::text, ARRAY(SELECT id::text FROM unnest(v_ids) AS id));
  GET DIAGNOSTICS v_answers = ROW_COUNT;
  DELETE FROM dead_letters.letter l WHERE l.id = ANY (v_ids);
  RETURN jsonb_build_object('letters', cardinality(v_ids), 'notes', v_notes, 'audit', v_actions, 'answers', v_answers);
END $$;

-- The key that signs from now on is the one that was published as the next. p_withdraw: those before it leave the key set
-- at once, and with them every token that they signed. Gives the kid; null while there is no next key.
CREATE FUNCTION identity.rotate_signing_key(p_withdraw boolean) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_kid text;
BEGIN
  -- The same lock as identity's instances take when they make keys.
  PERFORM pg_advisory_xact_lock(7261900501);
  UPDATE identity.signing_key k SET signs_from = clock_timestamp()
   WHERE k.kid = (SELECT n.kid FROM identity.signing_key n WHERE n.signs_from > clock_timestamp()
                   ORDER BY n.signs_from, n.kid LIMIT 1)
   RETURNING k.kid INTO v_kid;
  IF v_kid IS NOT NULL AND p_withdraw THEN
    DELETE FROM identity.signing_key k WHERE k.kid <> v_kid AND k.signs_from <= clock_timestamp();
  END IF;
  RETURN v_kid;
END $$;

REVOKE EXECUTE ON FUNCTION ops.stands_alone, ops.mentions(text, text[]), ops.mentions(bytea, text[]), ops.refuse_change,
  ops.keys_of_user, ops.is_about, identity.lock_out, identity.erase_user, orders.erase_user, notifications.erase_user, chat.stop_user,
  chat.erase_user, streams.erase_user, dead_letters.erase_user, identity.rotate_signing_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.rotate_signing_key TO ragline_identity;
