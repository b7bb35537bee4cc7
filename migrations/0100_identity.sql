-- identity: who there is, which sessions are open, and the keys that sign their tokens.
--
-- Every table with a tenant is under FORCE ROW LEVEL SECURITY. Four questions have to be asked before a tenant is
-- known (who signs in, whose refresh token or ticket is this, which tenants are there); each is a SECURITY DEFINER
-- function that answers exactly that. The policies named "keeper" let these functions work when the owner of the
-- tables is no superuser: FORCE binds the owner too, and the owner is whoever runs the migrations, never a service.

CREATE TABLE identity.tenant (
  id         uuid PRIMARY KEY,
  slug       text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE identity.user_account (
  id                 uuid PRIMARY KEY,
  tenant_id          uuid NOT NULL REFERENCES identity.tenant,
  email              text NOT NULL,
  name               text,
  password_hash      text NOT NULL,
  roles              text[] NOT NULL
    CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['customer', 'staff', 'admin', 'operator']),
  active             boolean NOT NULL DEFAULT true,
  -- Tokens issued before this are void; a newer token's iat is never below it, although iat has whole seconds only.
  tokens_void_before timestamptz NOT NULL DEFAULT '-infinity',
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, email)
);
CREATE INDEX user_account_page ON identity.user_account (tenant_id, id);

-- A session is one sign-in: the family of refresh tokens that descend from it. Its id is the claim sid.
CREATE TABLE identity.session (
  id             uuid PRIMARY KEY,
  tenant_id      uuid NOT NULL REFERENCES identity.tenant,
  user_id        uuid NOT NULL REFERENCES identity.user_account ON DELETE CASCADE,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at     timestamptz NOT NULL,
  revoked_at     timestamptz,
  revoked_reason text
);
CREATE INDEX session_of_user ON identity.session (user_id) WHERE revoked_at IS NULL;
CREATE INDEX session_expiry ON identity.session (expires_at);

CREATE TABLE identity.refresh_token (
  token_hash       bytea PRIMARY KEY,
  tenant_id        uuid NOT NULL REFERENCES identity.tenant,
  session_id       uuid NOT NULL REFERENCES identity.session ON DELETE CASCADE,
  issued_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at       timestamptz NOT NULL,
  rotated_at       timestamptz,
  successor_hash   bytea,
  -- The successor's text under a key that only the holder of this token can derive; for the grace period.
  successor_sealed bytea,
  CHECK ((rotated_at IS NULL) = (successor_hash IS NULL))
);
CREATE INDEX refresh_token_of_session ON identity.refresh_token (session_id);
CREATE INDEX refresh_token_expiry ON identity.refresh_token (expires_at);
CREATE INDEX refresh_token_sealed ON identity.refresh_token (rotated_at) WHERE successor_sealed IS NOT NULL;

CREATE TABLE identity.ticket (
  token_hash bytea PRIMARY KEY,
  tenant_id  uuid NOT NULL REFERENCES identity.tenant,
  user_id    uuid NOT NULL REFERENCES identity.user_account ON DELETE CASCADE,
  session_id uuid NOT NULL REFERENCES identity.session ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
CREATE INDEX ticket_expiry ON identity.ticket (expires_at);
CREATE INDEX ticket_of_session ON identity.ticket (session_id);

-- Of no tenant: the keys sign everybody's tokens. private_sealed is AES-256-GCM under KEY_ENCRYPTION_SECRET.
CREATE TABLE identity.signing_key (
  kid            text PRIMARY KEY,
  public_jwk     jsonb NOT NULL,
  private_sealed bytea NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  signs_from     timestamptz NOT NULL
);

ALTER TABLE identity.tenant        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.user_account  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.session       ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.refresh_token ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.ticket        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON identity.tenant
  USING (id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON identity.user_account
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON identity.session
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON identity.refresh_token
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);
CREATE POLICY tenant ON identity.ticket
  USING (tenant_id = nullif(current_setting('ragline.tenant_id', true), '')::uuid);

CREATE POLICY keeper ON identity.tenant        TO CURRENT_USER USING (true);
CREATE POLICY keeper ON identity.user_account  TO CURRENT_USER USING (true);
CREATE POLICY keeper ON identity.session       TO CURRENT_USER USING (true);
CREATE POLICY keeper ON identity.refresh_token TO CURRENT_USER USING (true);
CREATE POLICY keeper ON identity.ticket        TO CURRENT_USER USING (true);

GRANT SELECT, INSERT, UPDATE (name) ON identity.tenant TO ragline_identity;
GRANT SELECT, INSERT, UPDATE (name, password_hash, roles, active, tokens_void_before, updated_at)
  ON identity.user_account TO ragline_identity;
GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_reason) ON identity.session TO ragline_identity;
GRANT SELECT, INSERT, UPDATE (rotated_at, successor_hash, successor_sealed)
  ON identity.refresh_token TO ragline_identity;
GRANT SELECT, INSERT ON identity.ticket TO ragline_identity;
GRANT SELECT, INSERT, DELETE, UPDATE (signs_from) ON identity.signing_key TO ragline_identity;

-- Who wants to sign in. No row for an unknown tenant and for an unknown user alike. void_before, as text, is what a
-- change of password or a deactivation changes, and hashing the same password again does not.
CREATE FUNCTION identity.find_login(p_slug text, p_email text)
RETURNS TABLE (tenant_id uuid, user_id uuid, password_hash text, void_before text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
  SELECT u.tenant_id, u.id, u.password_hash, u.tokens_void_before::text
  FROM identity.tenant t JOIN identity.user_account u ON u.tenant_id = t.id
  WHERE t.slug = p_slug AND u.email = p_email
$$;

-- Whose refresh token this is; null when nobody's.
CREATE FUNCTION identity.tenant_of_refresh_token(p_hash bytea) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT tenant_id FROM identity.refresh_token WHERE token_hash = p_hash $$;

-- Takes a ticket out. The delete locks the row, so of two at the same moment one gets it and the other no row.
CREATE FUNCTION identity.take_ticket(p_hash bytea)
RETURNS TABLE (tenant_id uuid, user_id uuid, session_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
  DELETE FROM identity.ticket t
  WHERE t.token_hash = p_hash AND t.expires_at > clock_timestamp()
  RETURNING t.tenant_id, t.user_id, t.session_id
$$;

-- True for an open session of an active operator: asked again here, since a token may be 15 minutes old.
CREATE FUNCTION identity.is_operator(p_user uuid, p_session uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
  SELECT EXISTS (
    SELECT FROM identity.user_account u
    JOIN identity.tenant t ON t.id = u.tenant_id AND t.slug = 'ragline'
    JOIN identity.session s ON s.user_id = u.id AND s.id = p_session AND s.revoked_at IS NULL
    WHERE u.id = p_user AND u.active AND 'operator' = ANY (u.roles)
  )
$$;

-- All tenants, for an operator; nothing for anybody else.
CREATE FUNCTION identity.list_tenants(p_user uuid, p_session uuid, p_after uuid, p_limit integer)
RETURNS SETOF identity.tenant
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
  SELECT t.* FROM identity.tenant t
  WHERE identity.is_operator(p_user, p_session) AND (p_after IS NULL OR t.id > p_after)
  ORDER BY t.id LIMIT p_limit
$$;

-- Removes what can have no effect any more, at most p_limit rows of each kind; returns how many.
-- Rotated refresh tokens stay until they expire: until then they are the evidence of a theft.
CREATE FUNCTION identity.sweep(p_limit integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
  WITH tickets AS (
    DELETE FROM identity.ticket WHERE token_hash IN
      (SELECT token_hash FROM identity.ticket WHERE expires_at < clock_timestamp() LIMIT p_limit) RETURNING 1
  ), tokens AS (
    DELETE FROM identity.refresh_token WHERE token_hash IN
      (SELECT token_hash FROM identity.refresh_token WHERE expires_at < clock_timestamp() LIMIT p_limit)
      RETURNING 1
  ), sessions AS (
    DELETE FROM identity.session WHERE id IN
      (SELECT id FROM identity.session WHERE expires_at < clock_timestamp() - interval '1 day' LIMIT p_limit)
      RETURNING 1
  ), opened AS (
    UPDATE identity.refresh_token SET successor_sealed = NULL WHERE token_hash IN
      (SELECT token_hash FROM identity.refresh_token
       WHERE successor_sealed IS NOT NULL AND rotated_at < clock_timestamp() - interval '1 minute' LIMIT p_limit)
      RETURNING 1
  )
  SELECT (SELECT count(*) FROM tickets) + (SELECT count(*) FROM tokens) + (SELECT count(*) FROM sessions)
       + (SELECT count(*) FROM opened)
$$;

REVOKE ALL ON FUNCTION identity.find_login, identity.tenant_of_refresh_token, identity.take_ticket,
  identity.is_operator, identity.list_tenants, identity.sweep FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.find_login, identity.tenant_of_refresh_token, identity.take_ticket,
  identity.is_operator, identity.list_tenants, identity.sweep TO ragline_identity;
