-- Places an order in one statement: key, order, items, use of the promotion and event commit together or not at all.
--
-- Runs with the caller's rights, so row level security is in force; the tenant is set here, for this transaction.
-- The caller has decided prices from versions of products and of a promotion; they are checked here against the rows.
--
-- p_order      the order as JSON; stored word for word as the answer to a repetition of the key
-- p_payload    the event's final bytes
-- outcome      created | replay (answer = the first one) | key_reused | products_changed | promotion_changed
CREATE FUNCTION orders.place_order(
  p_tenant_id uuid, p_user_id uuid, p_key text, p_request_hash bytea, p_order text,
  p_product_ids uuid[], p_product_versions integer[], p_promotion_id uuid, p_promotion_version integer,
  p_event_id uuid, p_payload bytea, p_traceparent text
) RETURNS TABLE (outcome text, answer text)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_order    jsonb := p_order::jsonb;
  v_id       uuid := (v_order ->> 'id')::uuid;
  v_at       timestamptz := (v_order ->> 'created_at')::timestamptz;
BEGIN
  PERFORM set_config('ragline.tenant_id', p_tenant_id::text, true);

  -- A twin that is still at work holds the key's row: this waits for its commit, and then finds its answer.
  INSERT INTO orders.order_key AS held (tenant_id, user_id, key, request_hash, answer)
  VALUES (p_tenant_id, p_user_id, p_key, p_request_hash, p_order)
  ON CONFLICT (tenant_id, user_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at
    WHERE held.created_at < clock_timestamp() - interval '24 hours';
  IF NOT FOUND THEN
    RETURN QUERY
    SELECT CASE WHEN held.request_hash = p_request_hash THEN 'replay' ELSE 'key_reused' END,
           CASE WHEN held.request_hash = p_request_hash THEN held.answer END
    FROM orders.order_key held
    WHERE held.tenant_id = p_tenant_id AND held.user_id = p_user_id AND held.key = p_key;
    RETURN;
  END IF;

  IF EXISTS (
    SELECT FROM unnest(p_product_ids, p_product_versions) AS wanted (id, version)
    LEFT JOIN orders.product p ON p.tenant_id = p_tenant_id AND p.id = wanted.id
    WHERE p.version IS DISTINCT FROM wanted.version
  ) THEN
    outcome := 'products_changed';
  ELSIF p_promotion_id IS NOT NULL THEN
    -- The row stays locked until the commit, so the limit holds however many orders come at once.
    UPDATE orders.promotion p SET used = p.used + 1
    WHERE p.tenant_id = p_tenant_id AND p.id = p_promotion_id AND p.version = p_promotion_version
      AND p.active AND (p.usage_limit IS NULL OR p.used < p.usage_limit)
      AND (p.starts_at IS NULL OR p.starts_at <= v_at) AND (p.ends_at IS NULL OR p.ends_at > v_at);
    IF NOT FOUND THEN
      outcome := 'promotion_changed';
    END IF;
  END IF;
  IF outcome IS NOT NULL THEN
    -- Nothing was placed, so the key is free again. A raised error would do the same and fill the server's log.
    DELETE FROM orders.order_key held
    WHERE held.tenant_id = p_tenant_id AND held.user_id = p_user_id AND held.key = p_key;
    RETURN NEXT;
    RETURN;
  END IF;

  INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, promo_code,
                             promotion_id, notes, version, created_at, updated_at)
  VALUES (p_tenant_id, v_id, p_user_id, v_order ->> 'status', v_order ->> 'currency', (v_order ->> 'subtotal')::bigint,
          (v_order ->> 'discount')::bigint, (v_order ->> 'total')::bigint, v_order ->> 'promo_code',
          p_promotion_id, v_order ->> 'notes', (v_order ->> 'version')::integer, v_at, v_at);

  INSERT INTO orders.order_item (tenant_id, order_id, position, product_id, name, quantity, unit_price, line_total, notes)
  SELECT p_tenant_id, v_id, item.position, item.product_id, item.name, item.quantity, item.unit_price, item.line_total,
         item.notes
  FROM ROWS FROM (jsonb_to_recordset(v_order -> 'items') AS (
    product_id uuid, name text, quantity integer, unit_price bigint, line_total bigint, notes text
  )) WITH ORDINALITY AS item (product_id, name, quantity, unit_price, line_total, notes, position);

  INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
  VALUES (p_event_id, 'orders.v1', v_id::text, 'order_created', p_payload, p_tenant_id, p_user_id::text, p_traceparent);

  outcome := 'created';
  RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION orders.place_order TO ragline_orders;
