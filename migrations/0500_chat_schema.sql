-- What services/chat owns, and its outbox: requests for answers (chat.requests.v1), documents (catalog.v1).
CREATE SCHEMA chat;
COMMENT ON SCHEMA chat IS 'Belongs to services/chat.';

-- Vectors and their indexes. Only a superuser may make the extension: on a managed Postgres that is done beforehand.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

GRANT USAGE ON SCHEMA ops, streams TO ragline_chat;
GRANT USAGE ON SCHEMA chat TO ragline_chat, ragline_cdc;

SELECT ops.create_outbox('chat', 'ragline_chat');
CREATE POLICY owner_reads ON chat.outbox FOR SELECT TO CURRENT_USER USING (true);
GRANT EXECUTE ON FUNCTION ops.maintain_outbox TO ragline_chat;
SELECT ops.maintain_outbox('chat');
ALTER PUBLICATION ragline_outbox ADD TABLE chat.outbox;

SELECT ops.create_idempotency('chat', 'ragline_chat');
CREATE POLICY owner ON chat.idempotency TO CURRENT_USER USING (true);
GRANT EXECUTE ON FUNCTION ops.prune_idempotency TO ragline_chat;
GRANT EXECUTE ON FUNCTION ops.replication_slot(name) TO ragline_chat;

-- Its two groups: what answers, and what follows the catalogue.
INSERT INTO streams.group_role VALUES ('chat', 'ragline_chat'), ('chat-index', 'ragline_chat');

-- Whatever the notifications' group may call, these may: the functions ask which group somebody is.
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOR v_function IN
    SELECT p.oid FROM pg_proc p
     WHERE p.pronamespace = 'streams'::regnamespace AND has_function_privilege('ragline_notifications', p.oid, 'EXECUTE')
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO ragline_chat', v_function);
  END LOOP;
END $$;
