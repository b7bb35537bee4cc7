-- The catalogue of a tenant: products, what they cost, and the promotions on them.

CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;

-- What a search compares: "Crème Brûlée" and "creme brulee" are the same words. unaccent() with a named
-- dictionary depends on nothing but that dictionary, so it may stand in an index.
CREATE FUNCTION orders.fold(p_text text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT lower(public.unaccent('public.unaccent'::regdictionary, p_text)) $$;

CREATE FUNCTION orders.product_document(p_name text, p_description text, p_category text, p_tags text[])
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT setweight(to_tsvector('pg_catalog.simple', orders.fold(p_name)), 'A')
      || setweight(to_tsvector('pg_catalog.simple', orders.fold(coalesce(p_category, '') || ' ' || array_to_string(p_tags, ' '))), 'B')
      || setweight(to_tsvector('pg_catalog.simple', orders.fold(p_description)), 'C')
$$;

-- The generated columns below are computed with the rights of whoever writes the row.
GRANT EXECUTE ON FUNCTION public.unaccent(regdictionary, text), orders.fold, orders.product_document TO ragline_orders;

CREATE TABLE orders.product (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  name        text NOT NULL,
  description text NOT NULL DEFAULT '',
  category    text,
  tags        text[] NOT NULL DEFAULT '{}',
  price       bigint NOT NULL CHECK (price BETWEEN 0 AND 10000000000),
  currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  available   boolean NOT NULL DEFAULT true,
  attributes  jsonb NOT NULL DEFAULT '{}',
  version     integer NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  -- A deleted product stays: orders name it, and its version still tells a cache that it is gone.
  deleted_at  timestamptz,
  folded_name text NOT NULL GENERATED ALWAYS AS (orders.fold(name)) STORED,
  document    tsvector NOT NULL GENERATED ALWAYS AS (orders.product_document(name, description, category, tags)) STORED,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX product_by_name ON orders.product (tenant_id, (folded_name COLLATE "C"), id) WHERE deleted_at IS NULL;
CREATE INDEX product_by_price ON orders.product (tenant_id, price, id) WHERE deleted_at IS NULL;
-- New entries wait in a list that every search reads whole: kept short here, and emptied by orders.prune.
CREATE INDEX product_document ON orders.product USING gin (tenant_id, document) WITH (gin_pending_list_limit = 1024) WHERE deleted_at IS NULL;
CREATE INDEX product_trigrams ON orders.product USING gin (tenant_id, folded_name public.gin_trgm_ops) WITH (gin_pending_list_limit = 1024) WHERE deleted_at IS NULL;

-- One row a tenant: how often its catalogue has changed. What is cached is valid for one such number.
CREATE TABLE orders.catalogue (
  tenant_id uuid PRIMARY KEY,
  version   bigint NOT NULL
);

CREATE TABLE orders.promotion (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  code        text NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('percent', 'amount')),
  value       bigint NOT NULL CHECK (value > 0 AND (kind <> 'percent' OR value <= 100)),
  minimum     bigint NOT NULL DEFAULT 0 CHECK (minimum >= 0),
  starts_at   timestamptz,
  ends_at     timestamptz,
  usage_limit integer CHECK (usage_limit >= 0),
  used        integer NOT NULL DEFAULT 0 CHECK (used >= 0),
  active      boolean NOT NULL DEFAULT true,
  -- Counts what staff changed, not how often the code was used.
  version     integer NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, code)
);

ALTER TABLE orders.product ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.product FORCE ROW LEVEL SECURITY;
ALTER TABLE orders.catalogue ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.catalogue FORCE ROW LEVEL SECURITY;
ALTER TABLE orders.promotion ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders.promotion FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON orders.product
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON orders.catalogue
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON orders.promotion
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
-- The search below runs as the owner. Where the owner is no superuser, FORCE would put the tenant's policy in its
-- way and cost it the index; the function names the tenant itself.
CREATE POLICY owner_reads ON orders.product FOR SELECT TO CURRENT_USER USING (true);

GRANT SELECT, INSERT, UPDATE ON orders.product, orders.catalogue, orders.promotion TO ragline_orders;

-- Finds products by words (the last one may be a beginning), best first. Where fewer than ten have the words, those
-- whose names are like them follow: that forgives spelling, and is too dear to be asked when it is not needed.
--
-- Under row level security `@@` and `<%` are not leakproof, so a plain role's query would filter every row of the
-- tenant before it may ask the index. This function runs as the owner, reads the tenant from the same setting as
-- the policies, and returns nothing but ids and their place in the order; the caller reads the rows under its policy.
CREATE FUNCTION orders.search_products(
  p_query text, p_category text, p_tag text, p_available boolean, p_min_price bigint, p_max_price bigint,
  p_sort text, p_after_number double precision, p_after_text text, p_after_id uuid, p_limit integer
) RETURNS TABLE (id uuid, sort_number double precision, sort_text text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET pg_trgm.word_similarity_threshold = 0.45
-- Planned for each search: words of one query have thousands of rows, those of another none.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_tenant   uuid := nullif(current_setting('ragline.tenant_id', true), '')::uuid;
  v_text     text := orders.fold(p_query);
  v_words    tsquery := plainto_tsquery('simple', v_text);
  v_likeness boolean;
BEGIN
  IF v_tenant IS NULL THEN
    RETURN;
  END IF;
  IF numnode(v_words) > 0 THEN
    v_words := (v_words::text || ':*')::tsquery;
  END IF;
  -- All of them are counted: under a LIMIT the planner hopes to meet ten by chance, and reads a whole table when there are none.
  v_likeness := 10 > (
    SELECT count(*) FROM orders.product p
    WHERE p.tenant_id = v_tenant AND p.deleted_at IS NULL AND p.document @@ v_words
      AND (p_category IS NULL OR p.category = p_category)
      AND (p_tag IS NULL OR p_tag = ANY (p.tags))
      AND (p_available IS NULL OR p.available = p_available)
      AND (p_min_price IS NULL OR p.price >= p_min_price)
      AND (p_max_price IS NULL OR p.price <= p_max_price));
  RETURN QUERY
  SELECT hit.id, hit.place, hit.name
  FROM (
    SELECT p.id,
      CASE p_sort
        WHEN 'price' THEN p.price::double precision
        WHEN '-price' THEN -p.price::double precision
        WHEN 'name' THEN 0
        -- Words before any likeness, the shorter text before the longer. Rounded, to survive the way through a cursor.
        ELSE -round((CASE WHEN p.document @@ v_words THEN 1 + ts_rank(p.document, v_words, 1)
                          ELSE word_similarity(v_text, p.folded_name) END)::numeric, 5)::double precision
      END AS place,
      CASE WHEN p_sort = 'name' THEN p.folded_name ELSE '' END AS name
    FROM orders.product p
    WHERE p.tenant_id = v_tenant
      AND p.deleted_at IS NULL
      AND (p.document @@ v_words OR (v_likeness AND v_text <% p.folded_name))
      AND (p_category IS NULL OR p.category = p_category)
      AND (p_tag IS NULL OR p_tag = ANY (p.tags))
      AND (p_available IS NULL OR p.available = p_available)
      AND (p_min_price IS NULL OR p.price >= p_min_price)
      AND (p_max_price IS NULL OR p.price <= p_max_price)
  ) hit
  WHERE p_after_id IS NULL
     OR (hit.place, hit.name COLLATE "C", hit.id) > (p_after_number, p_after_text COLLATE "C", p_after_id)
  ORDER BY hit.place, hit.name COLLATE "C", hit.id
  LIMIT p_limit;
END
$$;
GRANT EXECUTE ON FUNCTION orders.search_products TO ragline_orders;

-- The version alone, in one round trip: what every cached read of the catalogue is checked by.
CREATE FUNCTION orders.catalogue_version(p_tenant_id uuid) RETURNS bigint LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
  PERFORM set_config('ragline.tenant_id', p_tenant_id::text, true);
  RETURN (SELECT c.version FROM orders.catalogue c WHERE c.tenant_id = p_tenant_id);
END
$$;
GRANT EXECUTE ON FUNCTION orders.catalogue_version TO ragline_orders;
