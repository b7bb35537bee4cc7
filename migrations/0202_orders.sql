-- Orders, and the keys under which they were placed.
CREATE TABLE orders.orders (
  tenant_id     uuid NOT NULL,
  -- UUIDv7: its time is created_at to the millisecond, so a range of times is a range of ids.
  id            uuid NOT NULL,
  user_id       uuid NOT NULL,
  status        text NOT NULL CHECK (status IN ('pending', 'confirmed', 'preparing', 'ready', 'completed', 'cancelled')),
  currency      text NOT NULL,
  subtotal      bigint NOT NULL,
  discount      bigint NOT NULL,
  total         bigint NOT NULL CHECK (total >= 0),
  promo_code    text,
  promotion_id  uuid,
  notes         text,
  cancel_reason text,
  version       integer NOT NULL,
  created_at    timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL,
  completed_at  timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX orders_of_user ON orders.orders (tenant_id, user_id, id);
-- The work at hand is a small part of all orders; what is done is found by walking the primary key.
CREATE INDEX orders_open ON orders.orders (tenant_id, status, id) WHERE status NOT IN ('completed', 'cancelled');

-- Without a foreign key: place_order is the only writer, in the statement that writes the order, and the check would
-- cost a lookup for each item on the path that must be short.
CREATE TABLE orders.order_item (
  tenant_id  uuid NOT NULL,
  order_id   uuid NOT NULL,
  position   smallint NOT NULL,
  product_id uuid NOT NULL,
  name       text NOT NULL,
  quantity   integer NOT NULL CHECK (quantity > 0),
  unit_price bigint NOT NULL,
  line_total bigint NOT NULL,
  notes      text,
  PRIMARY KEY (tenant_id, order_id, position)
);

-- Idempotency-Keys of POST /v1/orders with the answer of the first call, good for 24 hours.
CREATE TABLE orders.order_key (
  tenant_id    uuid NOT NULL,
  user_id      uuid NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  answer       text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, user_id, key)
);
-- Rows are written in the order of their time, so block ranges find the old ones at no cost to an insert.
CREATE INDEX order_key_age ON orders.order_key USING brin (created_at);

ALTER TABLE orders.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.orders FORCE ROW LEVEL SECURITY;
ALTER TABLE orders.order_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.order_item FORCE ROW LEVEL SECURITY;
ALTER TABLE orders.order_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.order_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON orders.orders
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON orders.order_item
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON orders.order_key
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON orders.orders TO ragline_orders;
GRANT SELECT, INSERT ON orders.order_item TO ragline_orders;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders.order_key TO ragline_orders;
