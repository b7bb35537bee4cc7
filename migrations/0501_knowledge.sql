-- Knowledge: the documents that a tenant's staff writes, and the index of everything the assistant may cite.
--
-- document is the truth about policies, FAQs and notes. source and chunk are an index: made by the group chat-index from
-- catalog.v1 alone (products as well as documents).
--
-- Who sees what: a transaction is either a tenant's (ragline.tenant_id) or works for all of them
-- (ragline.scope = 'operator': the consumer, which takes events of many tenants at once, and the filling of embeddings).

CREATE TABLE chat.document (
  id           uuid PRIMARY KEY,
  tenant_id    uuid NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('policy', 'faq', 'note')),
  title        text NOT NULL,
  -- The text that was read out of what was uploaded; Markdown where it had headings. Empty once deleted.
  body         text NOT NULL,
  -- Of what was uploaded.
  media_type   text NOT NULL,
  -- Where it is from, a file's name or an address: importing the same source again replaces the document. '' when not told.
  source       text NOT NULL DEFAULT '',
  language     text,
  attributes   jsonb NOT NULL DEFAULT '{}',
  -- SHA-256 of title and body, hexadecimal.
  content_hash text NOT NULL,
  version      integer NOT NULL DEFAULT 1,
  created_by   uuid NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  -- A deleted document's row stays without its text: its version tells a late event that it is gone.
  deleted_at   timestamptz
);
-- Ids are UUIDv7, so their order is that of time.
CREATE INDEX document_of_tenant ON chat.document (tenant_id, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX document_source ON chat.document (tenant_id, source) WHERE deleted_at IS NULL AND source <> '';

CREATE TABLE chat.source (
  tenant_id  uuid NOT NULL,
  -- The product's or the document's.
  id         uuid NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('menu', 'policy', 'faq', 'note')),
  -- Of the snapshot that was indexed; an event with an older one changes nothing.
  version    bigint NOT NULL,
  title      text NOT NULL,
  category   text,
  tags       text[] NOT NULL DEFAULT '{}',
  allergens  text[] NOT NULL DEFAULT '{}',
  -- Minor units; null for what has no price.
  price      bigint,
  currency   text,
  -- Null for what cannot be ordered.
  available  boolean,
  promoted   boolean NOT NULL DEFAULT false,
  attributes jsonb NOT NULL DEFAULT '{}',
  -- What a citation names: an address, a file's name, or the path of the resource.
  source     text NOT NULL,
  language   text,
  -- When it changed, by the clock of its owner, and when that was committed here.
  changed_at timestamptz NOT NULL,
  indexed_at timestamptz NOT NULL,
  -- A deleted source has no chunks, and stays for its version.
  deleted_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);

-- A passage with what it is filtered and ranked by, copied from its source: a search reads one table. What changes
-- often (price, available) is no part of the text, so that a change of it embeds nothing.
CREATE TABLE chat.chunk (
  id                uuid PRIMARY KEY,
  tenant_id         uuid NOT NULL,
  source_id         uuid NOT NULL,
  kind              text NOT NULL CHECK (kind IN ('menu', 'policy', 'faq', 'note')),
  ordinal           integer NOT NULL CHECK (ordinal >= 0),
  -- Says where the text stands (kind, title, headings); embedded before it.
  header            text NOT NULL,
  text              text NOT NULL,
  -- SHA-256 of what is embedded, header and text, hexadecimal. An embedding with another hash is out of date.
  content_hash      text NOT NULL,
  -- Of what is embedded, by the embedding model's own tokenizer, special tokens included.
  tokens            integer NOT NULL,
  language          text,
  category          text,
  tags              text[] NOT NULL DEFAULT '{}',
  allergens         text[] NOT NULL DEFAULT '{}',
  price             bigint,
  currency          text,
  available         boolean,
  promoted          boolean NOT NULL DEFAULT false,
  source_changed_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, source_id) REFERENCES chat.source ON DELETE CASCADE,
  -- Deferrable: one statement moves chunks on by one when a paragraph is put before them.
  UNIQUE (tenant_id, source_id, ordinal) DEFERRABLE INITIALLY IMMEDIATE
);
CREATE INDEX chunk_kind ON chat.chunk (tenant_id, kind);

-- Who is embedding which missing chunk, for a while: several instances fill side by side, and no transaction is open while
-- a model works. An instance that dies leaves its claims to time.
CREATE TABLE chat.embedding_claim (
  model_id  text NOT NULL,
  chunk_id  uuid NOT NULL REFERENCES chat.chunk ON DELETE CASCADE,
  tenant_id uuid NOT NULL,
  until     timestamptz NOT NULL,
  PRIMARY KEY (model_id, chunk_id)
);
CREATE INDEX embedding_claim_chunk ON chat.embedding_claim (chunk_id);

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['document', 'source', 'chunk', 'embedding_claim'] LOOP
    EXECUTE format('ALTER TABLE chat.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', v_table);
    -- As subqueries, which are asked once and not for each row.
    EXECUTE format($sql$CREATE POLICY scope ON chat.%I TO ragline_chat
      USING (tenant_id = (SELECT nullif(current_setting('ragline.tenant_id', true), '')::uuid)
             OR (SELECT coalesce(current_setting('ragline.scope', true), '') = 'operator'))$sql$, v_table);
    EXECUTE format('CREATE POLICY owner ON chat.%I TO CURRENT_USER USING (true)', v_table);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON chat.document, chat.source TO ragline_chat;
GRANT SELECT, INSERT, UPDATE, DELETE ON chat.chunk, chat.embedding_claim TO ragline_chat;
