-- What the sentinel brings is nobody's: 17,280 notifications a day that no one will read.

-- The function below runs as the owner, which FORCE would hold to the tenant's policy where it is no superuser.
CREATE POLICY owner ON notifications.notification TO CURRENT_USER USING (true);
CREATE POLICY owner ON notifications.notification_read TO CURRENT_USER USING (true);

-- Forgets the sentinel's notifications of the days before, with their marks; how many. In batches, and by one instance
-- at a time: the others find the lock taken and have nothing to do.
CREATE FUNCTION notifications.prune_sentinel(p_rows integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The tenant of the sentinel has the same id everywhere.
  v_sentinel constant uuid := '019a0000-0000-7000-8000-000000000004';
  v_pruned bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('ragline.notifications.prune', 0)) THEN
    RETURN 0;
  END IF;
  DELETE FROM notifications.notification n WHERE n.tenant_id = v_sentinel AND n.id = ANY (ARRAY(
    SELECT o.id FROM notifications.notification o
    WHERE o.tenant_id = v_sentinel AND o.created_at < clock_timestamp() - interval '1 day' LIMIT p_rows));
  GET DIAGNOSTICS v_pruned = ROW_COUNT;
  RETURN v_pruned;
END
$$;
REVOKE EXECUTE ON FUNCTION notifications.prune_sentinel FROM PUBLIC;
GRANT EXECUTE ON FUNCTION notifications.prune_sentinel TO ragline_notifications;
