-- How far the connector is behind, for the services that must know when to stop accepting orders.
-- No row when there is no such slot. lag_ms is null where Postgres does not know it: it has confirmed everything,
-- or has said nothing yet. cap_bytes is null when max_slot_wal_keep_size is unlimited.
CREATE FUNCTION ops.replication_slot(p_name name)
  RETURNS TABLE (slot_name name, active boolean, wal_status text, lag_bytes bigint, lag_ms bigint, cap_bytes bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.slot_name,
         s.active,
         s.wal_status,
         -- What the slot keeps from being removed, which is what the cap is compared with.
         coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint,
         (extract(epoch FROM CASE WHEN s.active THEN r.flush_lag ELSE clock_timestamp() - s.inactive_since END) * 1000)::bigint,
         (SELECT nullif(setting::bigint, -1) * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
    FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
   WHERE s.slot_name = p_name
$$;
REVOKE EXECUTE ON FUNCTION ops.replication_slot(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.replication_slot(name) TO ragline_orders, ragline_identity, ragline_notifications;
