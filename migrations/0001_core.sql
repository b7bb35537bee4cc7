-- What all services share: their schemas, operations' functions, and who may enter.
-- Roles are made beforehand (packages/postgres/src/roles.ts): a role belongs to the cluster, a migration to one database.

REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA ops;
CREATE SCHEMA streams;
CREATE SCHEMA identity;
CREATE SCHEMA orders;
CREATE SCHEMA notifications;

COMMENT ON SCHEMA ops IS 'Functions for running the system: partitions, replication slots.';
COMMENT ON SCHEMA streams IS 'What consumers remember; belongs to packages/streams and is reached by its functions only.';
COMMENT ON SCHEMA identity IS 'Belongs to services/identity.';
COMMENT ON SCHEMA orders IS 'Belongs to services/orders.';
COMMENT ON SCHEMA notifications IS 'Belongs to services/notifications.';

GRANT USAGE ON SCHEMA ops TO ragline_identity, ragline_orders, ragline_notifications;
GRANT USAGE ON SCHEMA streams TO ragline_identity, ragline_orders, ragline_notifications;
GRANT USAGE ON SCHEMA identity TO ragline_identity, ragline_cdc;
GRANT USAGE ON SCHEMA orders TO ragline_orders, ragline_cdc;
GRANT USAGE ON SCHEMA notifications TO ragline_notifications, ragline_cdc;

-- pg_trgm's operators are for everyone who searches.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
