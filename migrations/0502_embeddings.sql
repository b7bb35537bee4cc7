-- Vectors of chunks: a table for each embedding model, so that a new one is filled beside the old one and switched to
-- when it is full. A search reads the tables as the plain role, under the policies of its tenant.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE TABLE chat.embedding_model (
  -- Another version or size of a model is another model.
  id           text PRIMARY KEY,
  version      text NOT NULL,
  dimensions   integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
  table_name   text NOT NULL UNIQUE,
  -- active: searched; filling: kept up to date beside it, to be switched to, or back to; retired: no longer written.
  state        text NOT NULL DEFAULT 'filling' CHECK (state IN ('filling', 'active', 'retired')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz
);
CREATE UNIQUE INDEX embedding_model_active ON chat.embedding_model (state) WHERE state = 'active';
GRANT SELECT, UPDATE (state, activated_at) ON chat.embedding_model TO ragline_chat;

-- Registers a model and makes its table, when they are not there; the table's name. The service's own role may not make tables.
CREATE FUNCTION chat.create_embedding_table(p_id text, p_version text, p_dimensions integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_table text := 'embedding_' || left(trim(BOTH '_' FROM regexp_replace(lower(p_id), '[^a-z0-9]+', '_', 'g')), 40);
  v_known chat.embedding_model;
BEGIN
  -- Ids that are told apart by what a table's name has no room or no letters for.
  IF v_table <> 'embedding_' || p_id THEN
    v_table := v_table || '_' || left(md5(p_id), 8);
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('chat.embedding_model', 0));
  SELECT * INTO v_known FROM chat.embedding_model WHERE id = p_id;
  IF FOUND THEN
    IF (v_known.version, v_known.dimensions) IS DISTINCT FROM (p_version, p_dimensions) THEN
      RAISE EXCEPTION 'embedding model % is registered as version % with % dimensions', p_id, v_known.version, v_known.dimensions
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give another version another id.';
    END IF;
    RETURN v_known.table_name;
  END IF;
  INSERT INTO chat.embedding_model (id, version, dimensions, table_name) VALUES (p_id, p_version, p_dimensions, v_table);
  EXECUTE format($sql$CREATE TABLE chat.%I (
    chunk_id     uuid PRIMARY KEY REFERENCES chat.chunk ON DELETE CASCADE,
    tenant_id    uuid NOT NULL,
    -- Of the chunk whose text the vector is of.
    content_hash text NOT NULL,
    embedding    halfvec(%s) NOT NULL
  )$sql$, v_table, p_dimensions);
  EXECUTE format('CREATE INDEX ON chat.%I (tenant_id)', v_table);
  EXECUTE format('CREATE INDEX %I ON chat.%I USING hnsw (embedding halfvec_cosine_ops)', v_table || '_hnsw', v_table);
  EXECUTE format('ALTER TABLE chat.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
  EXECUTE format($sql$CREATE POLICY scope ON chat.%I TO ragline_chat
    USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
           OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
  EXECUTE format('CREATE POLICY owner ON chat.%I TO CURRENT_USER USING (true)', v_table);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON chat.%I TO ragline_chat', v_table);
  RETURN v_table;
END
$$;

-- Which index a search above the exact threshold asks, by the service's settings: builds it where it is missing and drops
-- the other one, of which the planner would have the choice. A table is locked against writing while its index is built.
CREATE FUNCTION chat.ensure_indexes(p_vector text, p_metadata boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  v_table text;
BEGIN
  IF p_vector NOT IN ('hnsw', 'ivfflat') THEN
    RAISE EXCEPTION 'no such index: %', p_vector USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('chat.embedding_model', 0));
  FOR v_table IN SELECT table_name FROM chat.embedding_model ORDER BY id LOOP
    IF to_regclass(format('chat.%I', v_table || '_' || p_vector)) IS NOT NULL THEN
      CONTINUE;
    END IF;
    EXECUTE format('DROP INDEX IF EXISTS chat.%I, chat.%I', v_table || '_hnsw', v_table || '_ivfflat');
    EXECUTE format('CREATE INDEX %I ON chat.%I USING %s (embedding halfvec_cosine_ops)%s', v_table || '_' || p_vector, v_table,
      p_vector, CASE p_vector WHEN 'ivfflat' THEN ' WITH (lists = 100)' ELSE '' END);
  END LOOP;
  IF p_metadata AND to_regclass('chat.chunk_metadata') IS NULL THEN
    CREATE INDEX chunk_metadata ON chat.chunk USING gin (tenant_id, tags);
  ELSIF NOT p_metadata AND to_regclass('chat.chunk_metadata') IS NOT NULL THEN
    DROP INDEX chat.chunk_metadata;
  END IF;
END
$$;

-- Operators of arrays are not leakproof: under row level security a plain role's query reads every row of the tenant before it
-- may ask the index of tags. This runs as the owner, reads the tenant from the same setting as the policies, and returns
-- nothing but ids; the caller reads the rows under its policy.
CREATE FUNCTION chat.chunks_with_tags(p_tags text[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
  SELECT c.id FROM chat.chunk c
   WHERE c.tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid) AND c.tags @> p_tags;
END;

-- How many chunks a tenant has, counted no further than p_most.
CREATE FUNCTION chat.count_chunks(p_tenant uuid, p_most integer) RETURNS integer LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
  PERFORM set_config('ragline.tenant_id', p_tenant::text, true);
  RETURN (SELECT count(*) FROM (SELECT FROM chat.chunk c WHERE c.tenant_id = p_tenant LIMIT p_most) AS counted);
END
$$;

-- The nearest chunks of a tenant, in one round trip, under its policies.
--
-- p_path: exact measures every chunk of the tenant and then filters, which is quickest where there are few; filtered measures
-- what the filter lets through; tagged does so among what has all of p_tags, by an index of them; index goes along the vectors'
-- index, on and on until p_limit rows have passed the filter or its bound is reached.
-- Null filters let everything through, but p_available: null stands for what is not unavailable.
CREATE FUNCTION chat.search_chunks(
  p_tenant uuid, p_model text, p_query halfvec, p_path text, p_limit integer, p_breadth integer,
  p_kinds text[], p_categories text[], p_available boolean, p_min_price bigint, p_max_price bigint, p_tags text[], p_without text[]
) RETURNS TABLE (
  id uuid, source_id uuid, kind text, title text, header text, text text, score double precision, tokens integer,
  category text, tags text[], allergens text[], price bigint, currency text, available boolean, source text,
  changed_at timestamptz, promoted boolean, vector bytea
) LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_table  text := (SELECT m.table_name FROM chat.embedding_model m WHERE m.id = p_model);
  v_filter text;
  v_near   text;
BEGIN
  IF v_table IS NULL THEN
    RAISE EXCEPTION 'embedding model % is not registered', p_model USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM set_config('ragline.tenant_id', p_tenant::text, true);

  -- The tenant is named here and demanded by the policies. Only what is asked for stands in the statement, which is planned for it.
  v_filter := 'c.tenant_id = $1'
    || CASE WHEN p_available IS NULL THEN ' AND c.available IS NOT FALSE' ELSE ' AND c.available = $4' END
    || CASE WHEN p_kinds IS NULL THEN '' ELSE ' AND c.kind = ANY ($5)' END
    || CASE WHEN p_categories IS NULL THEN '' ELSE ' AND lower(c.category) = ANY ($6)' END
    || CASE WHEN p_min_price IS NULL THEN '' ELSE ' AND c.price >= $7' END
    || CASE WHEN p_max_price IS NULL THEN '' ELSE ' AND c.price <= $8' END
    || CASE WHEN p_tags IS NULL THEN '' ELSE ' AND c.tags @> $9' END
    || CASE WHEN p_without IS NULL THEN '' ELSE ' AND NOT c.allergens && $10' END
    || CASE WHEN p_path = 'tagged' THEN ' AND c.id IN (SELECT chat.chunks_with_tags($9))' ELSE '' END;

  CASE p_path
    WHEN 'exact' THEN
      v_near := $sql$
        WITH measured AS MATERIALIZED (SELECT e.chunk_id, e.embedding <=> $2 AS distance FROM chat.%1$I e WHERE e.tenant_id = $1)
        SELECT m.chunk_id, m.distance FROM measured m JOIN chat.chunk c ON c.id = m.chunk_id WHERE %2$s
         ORDER BY m.distance LIMIT $3$sql$;
    WHEN 'filtered', 'tagged' THEN
      -- Materialised before it is sorted, so that no index of vectors can come in between.
      v_near := $sql$
        WITH measured AS MATERIALIZED (
          SELECT e.chunk_id, e.embedding <=> $2 AS distance FROM chat.%1$I e JOIN chat.chunk c ON c.id = e.chunk_id
           WHERE e.tenant_id = $1 AND %2$s)
        SELECT m.chunk_id, m.distance FROM measured m ORDER BY m.distance LIMIT $3$sql$;
    WHEN 'index' THEN
      PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', p_breadth::text, true),
        set_config('ivfflat.iterative_scan', 'relaxed_order', true), set_config('ivfflat.probes', (p_breadth / 10 + 1)::text, true);
      v_near := $sql$
        SELECT e.chunk_id, e.embedding <=> $2 AS distance FROM chat.%1$I e JOIN chat.chunk c ON c.id = e.chunk_id
         WHERE e.tenant_id = $1 AND %2$s ORDER BY e.embedding <=> $2 LIMIT $3$sql$;
  END CASE;
  v_near := format(v_near, v_table, v_filter);

  RETURN QUERY EXECUTE format($sql$
    WITH near AS MATERIALIZED (%1$s)
    SELECT c.id, c.source_id, c.kind, s.title, c.header, c.text, 1 - near.distance, c.tokens, c.category, c.tags, c.allergens,
           c.price, c.currency, c.available, s.source, c.source_changed_at, c.promoted, halfvec_send(e.embedding)
      FROM near
      JOIN chat.%2$I e ON e.chunk_id = near.chunk_id
      JOIN chat.chunk c ON c.id = near.chunk_id AND c.tenant_id = $1
      JOIN chat.source s ON s.tenant_id = $1 AND s.id = c.source_id AND s.deleted_at IS NULL
     ORDER BY near.distance, c.id$sql$, v_near, v_table)
    USING p_tenant, p_query, p_limit, p_available, p_kinds, p_categories, p_min_price, p_max_price, p_tags, p_without;
END
$$;

REVOKE EXECUTE ON FUNCTION chat.create_embedding_table, chat.ensure_indexes, chat.chunks_with_tags, chat.count_chunks,
  chat.search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chat.create_embedding_table, chat.ensure_indexes, chat.chunks_with_tags, chat.count_chunks,
  chat.search_chunks TO ragline_chat;
