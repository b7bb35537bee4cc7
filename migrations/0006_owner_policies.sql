-- FORCE row-level security binds the owner of a table too, unless it is a superuser. Where it is not (a managed
-- Postgres), ops.prune_idempotency would find no row to forget, and the making of a replication slot no event that
-- speaks against it.
CREATE POLICY owner ON identity.idempotency TO CURRENT_USER USING (true);
CREATE POLICY owner ON orders.idempotency TO CURRENT_USER USING (true);
CREATE POLICY owner ON notifications.idempotency TO CURRENT_USER USING (true);
-- orders.outbox has had one since 0204.
CREATE POLICY owner_reads ON identity.outbox FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_reads ON notifications.outbox FOR SELECT TO CURRENT_USER USING (true);
