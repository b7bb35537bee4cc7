-- What is to be indexed again from what Postgres has, not from Kafka (docs/decisions/0182): written by `ragline knowledge
-- reindex`, worked off by the chat service.
CREATE TABLE chat.reindex_item (
  tenant_id   uuid NOT NULL,
  -- Of a product, a document, or a source that is neither any more.
  id          uuid NOT NULL,
  version     bigint NOT NULL,
  -- As catalog.v1 has it; null: the document of that id, as it is when its turn comes.
  product     jsonb,
  is_deleted  boolean NOT NULL DEFAULT false,
  changed_at  timestamptz NOT NULL,
  attempts    integer NOT NULL DEFAULT 0,
  -- Whoever works at it has it until then.
  leased_until timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX reindex_item_open ON chat.reindex_item (leased_until);

ALTER TABLE chat.reindex_item ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON chat.reindex_item TO ragline_chat
  USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
         OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'));
CREATE POLICY owner ON chat.reindex_item TO CURRENT_USER USING (true);
GRANT SELECT, UPDATE, DELETE ON chat.reindex_item TO ragline_chat;

-- As before, but no IVFFlat over next to nothing: its lists are trained on the rows that are there when it is built, and never
-- again. Until there are enough a table keeps its other index; `ragline knowledge build-index` builds, and trains, it later.
CREATE OR REPLACE FUNCTION chat.ensure_indexes(p_vector text, p_metadata boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  -- Some 30 rows for each of its lists.
  c_trained_by constant integer := 3000;
  v_table text;
  v_rows  integer;
BEGIN
  IF p_vector NOT IN ('hnsw', 'ivfflat') THEN
    RAISE EXCEPTION 'no such index: %', p_vector USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('chat.embedding_model', 0));
  FOR v_table IN SELECT table_name FROM chat.embedding_model ORDER BY id LOOP
    IF to_regclass(format('chat.%I', v_table || '_' || p_vector)) IS NOT NULL THEN
      CONTINUE;
    END IF;
    IF p_vector = 'ivfflat' THEN
      EXECUTE format('SELECT count(*) FROM (SELECT FROM chat.%I LIMIT %s) AS counted', v_table, c_trained_by) INTO v_rows;
      CONTINUE WHEN v_rows < c_trained_by;
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
