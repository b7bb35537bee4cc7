-- As in 0605, in another order. A digest that is being told holds the user's window, and its notification is seen when it is
-- committed: so windows go first, and notifications after whoever had a window is done. Preferences before windows, as
-- everyone who needs both.
CREATE OR REPLACE FUNCTION notifications.erase_user(p_tenant uuid, p_user uuid, p_texts text[]) RETURNS jsonb
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_notifications bigint;
  v_marks bigint;
  v_preferences bigint;
  v_webhooks bigint;
  v_answers bigint;
BEGIN
  DELETE FROM notifications.preference p WHERE p.tenant_id = p_tenant AND p.user_id = p_user;
  GET DIAGNOSTICS v_preferences = ROW_COUNT;
  DELETE FROM notifications.digest_window w WHERE w.tenant_id = p_tenant AND w.user_id = p_user;
  DELETE FROM notifications.notification_read r WHERE r.tenant_id = p_tenant AND r.user_id = p_user;
  GET DIAGNOSTICS v_marks = ROW_COUNT;
  DELETE FROM notifications.notification n WHERE n.tenant_id = p_tenant AND n.user_id = p_user;
  GET DIAGNOSTICS v_notifications = ROW_COUNT;
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
