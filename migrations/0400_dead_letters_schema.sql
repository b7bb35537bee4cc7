-- What services/dead-letters owns, and its outbox: what becomes of a letter is an event on dead_letters.v1.
CREATE SCHEMA dead_letters;
COMMENT ON SCHEMA dead_letters IS 'Belongs to services/dead-letters.';

GRANT USAGE ON SCHEMA ops, streams TO ragline_dead_letters;
GRANT USAGE ON SCHEMA dead_letters TO ragline_dead_letters, ragline_cdc;

SELECT ops.create_outbox('dead_letters', 'ragline_dead_letters');
GRANT EXECUTE ON FUNCTION ops.maintain_outbox TO ragline_dead_letters;
SELECT ops.maintain_outbox('dead_letters');
ALTER PUBLICATION ragline_outbox ADD TABLE dead_letters.outbox;
