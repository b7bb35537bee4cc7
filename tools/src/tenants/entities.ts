/** What a tenant has, entity by entity: one statement each, whose rows go out as they come. */

export type Entity = {
  /** Also the file's name, with `.ndjson`. */
  name: string;
  /** Selects one column `row` as JSON, of the tenant $1, in a stable order. */
  sql: string;
  /** In which fields the row has events as bytes (base64), to be decoded on the way out. */
  events?: 'history';
  /** Rows that are held in memory at once, where a row may be large. */
  atOnce?: number;
};

const without = (columns: readonly string[]): string =>
  `- ARRAY['${[...columns, 'tenant_id'].join("', '")}']`;

/** One table as it is, less the columns that are internal or secret. */
const table = (name: string, from: string, hidden: readonly string[] = [], order = 'id'): Entity => ({
  name,
  sql: `SELECT to_jsonb(t) ${without(hidden)} AS row FROM ${from} t WHERE t.tenant_id = $1 ORDER BY ${order
    .split(', ')
    .map((column) => `t.${column}`)
    .join(', ')}`,
});

const derived = 'made of what is exported';
const running = 'the running system’s: counters, leases, what is kept for a day or decided in between';
const secret = 'a secret, or of use to nobody else';

/** Tables with rows of tenants that an export leaves, and why. A test compares this and the entities with the database. */
export const left: Record<string, string> = {
  'chat.chunk': derived,
  'chat.embedding_claim': running,
  'chat.idempotency': running,
  'chat.open_completion': running,
  'chat.outbox': 'ids of turns, whose texts are the messages; and documents',
  'chat.reindex_item': running,
  'chat.source': derived,
  'chat.token_hold': running,
  'chat.turn': 'how a message came about: the messages say what came of it',
  'dead_letters.alert': running,
  'dead_letters.attempt': 'bytes and stacks of a failure; the letter has the last one’s reason',
  'dead_letters.batch_item': running,
  'dead_letters.cause': derived,
  'dead_letters.difference': running,
  'dead_letters.edit': 'bytes of records, like those of letters',
  'dead_letters.idempotency': running,
  'dead_letters.letter_words': derived,
  'dead_letters.outbox': 'ids of letters',
  'dead_letters.pace': running,
  'dead_letters.sending': running,
  'dead_letters.tally': derived,
  'dead_letters.unanswered': running,
  'identity.idempotency': running,
  'identity.outbox': 'that sessions ended, for 16 minutes',
  'identity.refresh_token': secret,
  'identity.session': secret,
  'identity.ticket': secret,
  'notifications.digest_window': running,
  'notifications.idempotency': running,
  'notifications.outbox': 'what the notifications are',
  'notifications.webhook_secret': secret,
  'ops.erasure': 'who was erased: by its ids, which lead to nobody, and kept by whoever erased',
  'orders.catalogue': running,
  'orders.idempotency': running,
  'orders.order_key': running,
  'streams.parked_key': running,
  'streams.parked_record': 'a record that waits: the event is in the order',
};

/**
 * Hidden are secrets (hashes of passwords, sealed secrets of webhooks), copies made for searching, and what is decided in
 * between (claims, leases). Sessions, kept answers and counters are no data of the tenant's but of the running system.
 */
export const entities: readonly Entity[] = [
  {
    name: 'tenant',
    sql: 'SELECT to_jsonb(t) AS row FROM identity.tenant t WHERE t.id = $1',
  },
  table('users', 'identity.user_account', ['password_hash', 'tokens_void_before']),
  table('products', 'orders.product', ['folded_name', 'document']),
  table('promotions', 'orders.promotion'),
  {
    name: 'orders',
    events: 'history',
    sql: `SELECT to_jsonb(o) ${without([])}
                 || jsonb_build_object(
                   'items', (SELECT coalesce(jsonb_agg(to_jsonb(i) - ARRAY['tenant_id', 'order_id'] ORDER BY i.position), '[]')
                               FROM orders.order_item i WHERE i.tenant_id = o.tenant_id AND i.order_id = o.id),
                   'history', (SELECT coalesce(jsonb_agg(encode(e.payload, 'base64') ORDER BY e.created_at, e.id), '[]')
                                 FROM orders.outbox e WHERE e.tenant_id = o.tenant_id AND e.aggregatetype = 'orders.v1'
                                  AND e.aggregateid = o.id::text)) AS row
            FROM orders.orders o WHERE o.tenant_id = $1 ORDER BY o.id`,
  },
  table('notifications', 'notifications.notification'),
  table('notification_reads', 'notifications.notification_read', [], 'user_id, notification_id'),
  table('notification_preferences', 'notifications.preference', ['history'], 'user_id'),
  table('webhooks', 'notifications.webhook', ['failures', 'failing_since', 'exhausted', 'open_until']),
  {
    name: 'webhook_deliveries',
    sql: `SELECT to_jsonb(d) ${without(['claim', 'claimed_until'])}
                 || jsonb_build_object(
                   'event_id', m.event_id, 'event_type', m.event_type,
                   'tries', (SELECT coalesce(jsonb_agg(to_jsonb(a) - ARRAY['tenant_id', 'delivery_id'] ORDER BY a.number), '[]')
                               FROM notifications.webhook_attempt a WHERE a.delivery_id = d.id)) AS row
            FROM notifications.webhook_delivery d JOIN notifications.webhook_message m ON m.id = d.message_id
           WHERE d.tenant_id = $1 ORDER BY d.id`,
  },
  {
    // What was in the records is the events' own, and those are in the orders; bytes that nobody can read help nobody.
    name: 'dead_letters',
    sql: `SELECT to_jsonb(l) ${without(['value', 'decoded', 'key', 'key_hash', 'headers', 'identity', 'fingerprint_parts', 'error_stack'])}
                 || jsonb_build_object(
                   'notes', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', n.at, 'user_id', n.user_id, 'text', n.text) ORDER BY n.id), '[]')
                               FROM dead_letters.note n WHERE n.letter_id = l.id)) AS row
            FROM dead_letters.letter l WHERE l.tenant_id = $1 ORDER BY l.id`,
  },
  table('dead_letter_batches', 'dead_letters.batch', ['runner', 'lease_until', 'look_at']),
  table('dead_letter_actions', 'dead_letters.action'),
  table('dead_letter_alert_rules', 'dead_letters.alert_rule'),
  table('conversations', 'chat.conversation', ['summary_upto']),
  table('messages', 'chat.message', ['prompt_hash', 'context'], 'conversation_id, position'),
  table('approvals', 'chat.approval', ['quote_token', 'quote_hash', 'idempotency_key']),
  table('tool_calls', 'chat.tool_call', ['call_key', 'args_hash', 'idempotency_key', 'claimed_at']),
  // Ten MiB each at most.
  { ...table('documents', 'chat.document', ['content_hash']), atOnce: 5 },
  table('tool_settings', 'chat.tool_setting', [], 'tool'),
  table('token_budgets', 'chat.token_budget', [], 'day, user_id'),
];
