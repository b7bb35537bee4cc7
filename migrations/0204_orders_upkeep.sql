-- What operations need of orders across tenants. Services reach it by these functions alone.

-- The functions below run as the owner, which FORCE would hold to the tenant's policy where it is no superuser.
CREATE POLICY owner ON orders.order_key TO CURRENT_USER USING (true);
CREATE POLICY owner ON orders.orders TO CURRENT_USER USING (true);
CREATE POLICY owner ON orders.order_item TO CURRENT_USER USING (true);
CREATE POLICY owner ON orders.outbox FOR SELECT TO CURRENT_USER USING (true);

-- The beginning of an event's path: ids and times, nothing of what it says. p_tenant_id null: any tenant's.
CREATE FUNCTION orders.trace_event(p_event_id uuid, p_tenant_id uuid)
RETURNS TABLE (topic text, key text, event_type text, traceparent text, occurred_at timestamptz, committed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT o.aggregatetype, o.aggregateid, o.type, o.traceparent, uuid_extract_timestamp(o.id), o.created_at
  FROM orders.outbox o
  WHERE o.id = p_event_id AND (p_tenant_id IS NULL OR o.tenant_id = p_tenant_id)
$$;
GRANT EXECUTE ON FUNCTION orders.trace_event TO ragline_orders;

-- Forgets keys older than a day, and the sentinel's orders of the days before; how many of each. Puts what waits beside
-- the search indexes into them, which the autovacuum does too seldom for a table that hardly changes. In batches, and by
-- one instance at a time: the others find the lock taken and have nothing to do.
CREATE FUNCTION orders.prune(p_rows integer DEFAULT 5000, OUT order_keys bigint, OUT sentinel_orders bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The tenant of the sentinel has the same id everywhere.
  v_sentinel constant uuid := '019a0000-0000-7000-8000-000000000004';
  v_ids uuid[];
BEGIN
  order_keys := 0;
  sentinel_orders := 0;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.orders.prune', 0)) THEN
    RETURN;
  END IF;
  DELETE FROM orders.order_key WHERE ctid = ANY (ARRAY(
    SELECT k.ctid FROM orders.order_key k WHERE k.created_at < clock_timestamp() - interval '24 hours' LIMIT p_rows));
  GET DIAGNOSTICS order_keys = ROW_COUNT;

  v_ids := ARRAY(
    SELECT o.id FROM orders.orders o
    WHERE o.tenant_id = v_sentinel AND o.created_at < clock_timestamp() - interval '1 day'
    ORDER BY o.id LIMIT p_rows);
  DELETE FROM orders.order_item i WHERE i.tenant_id = v_sentinel AND i.order_id = ANY (v_ids);
  DELETE FROM orders.orders o WHERE o.tenant_id = v_sentinel AND o.id = ANY (v_ids);
  sentinel_orders := cardinality(v_ids);

  PERFORM gin_clean_pending_list('orders.product_document'), gin_clean_pending_list('orders.product_trigrams');
END
$$;
GRANT EXECUTE ON FUNCTION orders.prune TO ragline_orders;

-- Everybody may execute a new function until somebody says otherwise.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA orders FROM PUBLIC;
