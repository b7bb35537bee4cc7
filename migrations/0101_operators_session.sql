-- True for an open session of an active operator: asked again here, since a token may be 15 minutes old. A session
-- that has come to its end is not open, as everywhere else.
CREATE OR REPLACE FUNCTION identity.is_operator(p_user uuid, p_session uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
  SELECT EXISTS (
    SELECT FROM identity.user_account u
    JOIN identity.tenant t ON t.id = u.tenant_id AND t.slug = 'ragline'
    JOIN identity.session s ON s.user_id = u.id AND s.id = p_session AND s.revoked_at IS NULL
      AND s.expires_at > clock_timestamp()
    WHERE u.id = p_user AND u.active AND 'operator' = ANY (u.roles)
  )
$$;
