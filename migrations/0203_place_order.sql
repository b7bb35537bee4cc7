-- Places an order in one statement: key, order, items, use of the promotion and event commit together or not at all.
--
-- Runs with the caller's rights, so row level security is in force; the tenant is set here, for this transaction.
-- The caller has decided prices from versions of products and of a promotion; they are checked here against the rows.
-- On this path every statement inside, and every walk through JSON, is a good part of the whole: hence two INSERTs of
-- several parts each, items as arrays with one element an item, and one text as the result.
--
-- p_answer     the order as JSON; stored word for word as the answer to a repetition of the key
-- p_payload    the event's final bytes
-- Returns created, key_reused, products_changed or promotion_changed; for a repetition the first answer, a JSON object.
CREATE FUNCTION orders.place_order(
  p_tenant_id uuid, p_user_id uuid, p_key text, p_request_hash bytea, p_answer text,
  p_id uuid, p_at timestamptz, p_currency text, p_subtotal bigint, p_discount bigint, p_total bigint, p_promo_code text,
  p_notes text, p_promotion_id uuid, p_promotion_version integer,
  p_product_ids uuid[], p_product_versions integer[], p_names text[], p_quantities integer[], p_unit_prices bigint[],
  p_line_totals bigint[], p_item_notes text[],
  p_event_id uuid, p_payload bytea, p_traceparent text
) RETURNS text LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_outcome text;
BEGIN
  PERFORM set_config('ragline.tenant_id', p_tenant_id::text, true);

  -- A twin that is still at work holds the key's row: this waits for its commit.
  INSERT INTO orders.order_key AS held (tenant_id, user_id, key, request_hash, answer)
  SELECT p_tenant_id, p_user_id, p_key, p_request_hash, p_answer
  WHERE NOT EXISTS (
    SELECT FROM unnest(p_product_ids, p_product_versions) AS wanted (id, version)
    LEFT JOIN orders.product p ON p.tenant_id = p_tenant_id AND p.id = wanted.id
    WHERE p.version IS DISTINCT FROM wanted.version
  )
  ON CONFLICT (tenant_id, user_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at
    WHERE held.created_at < clock_timestamp() - interval '24 hours';
  IF NOT FOUND THEN
    -- The first answer stands, whatever has become of the products since.
    SELECT CASE WHEN held.request_hash = p_request_hash THEN held.answer ELSE 'key_reused' END INTO v_outcome
    FROM orders.order_key held
    WHERE held.tenant_id = p_tenant_id AND held.user_id = p_user_id AND held.key = p_key
      AND held.created_at >= clock_timestamp() - interval '24 hours';
    RETURN coalesce(v_outcome, 'products_changed');
  END IF;

  IF p_promotion_id IS NOT NULL THEN
    -- The row stays locked until the commit, so the limit holds however many orders come at once.
    UPDATE orders.promotion p SET used = p.used + 1
    WHERE p.tenant_id = p_tenant_id AND p.id = p_promotion_id AND p.version = p_promotion_version
      AND p.active AND (p.usage_limit IS NULL OR p.used < p.usage_limit)
      AND (p.starts_at IS NULL OR p.starts_at <= p_at) AND (p.ends_at IS NULL OR p.ends_at > p_at);
    IF NOT FOUND THEN
      -- Nothing was placed, so the key is free again. A raised error would do the same and fill the server's log.
      DELETE FROM orders.order_key held
      WHERE held.tenant_id = p_tenant_id AND held.user_id = p_user_id AND held.key = p_key;
      RETURN 'promotion_changed';
    END IF;
  END IF;

  WITH placed AS (
    INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, promo_code,
                               promotion_id, notes, version, created_at, updated_at)
    VALUES (p_tenant_id, p_id, p_user_id, 'pending', p_currency, p_subtotal, p_discount, p_total, p_promo_code,
            p_promotion_id, p_notes, 1, p_at, p_at)
  ), items AS (
    INSERT INTO orders.order_item (tenant_id, order_id, position, product_id, name, quantity, unit_price, line_total,
                                   notes)
    SELECT p_tenant_id, p_id, item.position, item.product_id, item.name, item.quantity, item.unit_price,
           item.line_total, item.notes
    FROM unnest(p_product_ids, p_names, p_quantities, p_unit_prices, p_line_totals, p_item_notes)
      WITH ORDINALITY AS item (product_id, name, quantity, unit_price, line_total, notes, position)
  )
  INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
  VALUES (p_event_id, 'orders.v1', p_id::text, 'order_created', p_payload, p_tenant_id, p_user_id::text, p_traceparent);

  RETURN 'created';
END
$$;
GRANT EXECUTE ON FUNCTION orders.place_order TO ragline_orders;
