// Made by `ragline schemas generate` from schemas/avro. Do not edit: a test compares.
export type Product = {
  /** UUIDv7; the record's key. */
  id: string;
  /** Whose data it is. */
  tenant_id: string;
  /** As shown to customers. */
  name: string;
  /** Longer text, as shown to customers. */
  description: string;
  /** The one category it is in. */
  category: string | null;
  /** Words it is found by. */
  tags: string[];
  /** In minor units of its currency. */
  price: number;
  /** ISO 4217 code. */
  currency: string;
  /** Whether it can be ordered. */
  available: boolean;
  /** Whatever else a tenant keeps about it: a JSON object, in Avro as text. */
  attributes: Record<string, unknown>;
  /** 1 when made, one more with each change. */
  version: number;
  /** When it was made, UTC. */
  created_at: string;
  /** When it last changed, UTC. */
  updated_at: string;
};

export type Document = {
  /** UUIDv7; the record's key. */
  id: string;
  /** Whose data it is. */
  tenant_id: string;
  /** What it is: policy, faq or note. */
  kind: string;
  /** As shown to customers. */
  title: string;
  /** Where it comes from: a path or an address. */
  source: string;
  /** Its language (BCP 47), where known. */
  language: string | null;
  /** What it says; null above 256 KiB: then it is read over REST. */
  text: string | null;
  /** SHA-256 of title and text, in hexadecimal digits. */
  content_hash: string;
  /** 1 when made, one more with each change. */
  version: number;
  /** When it was made, UTC. */
  created_at: string;
  /** When it last changed, UTC. */
  updated_at: string;
};

/** A change of the catalogue, with a snapshot of what changed. Every kind of snapshot has a nullable field of its own, since a field can be added compatibly in both directions and a branch of a union cannot. */
export type CatalogEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What happened. Made and changed are the same event: its snapshot replaces whatever a reader has under the key. */
  event_type: 'product_changed' | 'product_deleted' | 'document_changed' | 'document_deleted';
  /** When it happened, by the clock of the service that owns the snapshot, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** The user who caused the event. */
  actor_id: string;
  /** With product_changed the product right after, with product_deleted as it was last; else null. */
  product: Product | null;
  /** With document_changed the document right after, with document_deleted as it was last; else null. */
  document: Document | null;
};

/** An answer as it comes about. Flat: what an event has nothing to say about is null, and left out where it is shown. */
export type ChatEvent = {
  /** UUID of the event, the same when the event is sent again. The same as the Kafka header id. */
  event_id: string;
  /** What happened. The last three end a turn; after message_restarted the answer begins anew. */
  event_type: 'message_delta' | 'tool_started' | 'tool_finished' | 'citation' | 'approval_required' | 'message_restarted' | 'message_completed' | 'message_failed' | 'message_stopped';
  /** When it happened, by the clock of the chat service, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** The user who owns the conversation; nobody else is shown it. */
  user_id: string;
  /** The conversation; the record's key. */
  conversation_id: string;
  /** The turn it belongs to. */
  turn_id: string;
  /** The answer it is a part of. */
  message_id: string;
  /** Which attempt at the turn this is, from 1: one more when another worker takes it over. */
  generation: number;
  /** Its place in the attempt, from 1. */
  sequence: number;
  /** With message_delta what is added to the answer. */
  text: string | null;
  /** With citation the number of its marker in the text, from 1. */
  index: number | null;
  /** With citation what to call the source. */
  title: string | null;
  /** With citation where it is: a path or an address. */
  source: string | null;
  /** With citation the product or document. */
  document_id: string | null;
  /** With tool_started and tool_finished the tool's name. */
  tool: string | null;
  /** With tool_started and tool_finished the call, which pairs them. */
  call_id: string | null;
  /** With tool_finished whether it succeeded. */
  ok: boolean | null;
  /** With tool_finished one line to show. */
  summary: string | null;
  /** With tool_finished how long it took. */
  duration_ms: number | null;
  /** With approval_required what to answer to. */
  approval_id: string | null;
  /** With approval_required the priced order to approve: a JSON object, in Avro as text. */
  quote: Record<string, unknown> | null;
  /** With message_completed and message_stopped the whole answer: a JSON object, in Avro as text. */
  message: Record<string, unknown> | null;
  /** With message_completed the tokens used: a JSON object, in Avro as text. */
  usage: Record<string, unknown> | null;
  /** With message_completed milliseconds by hop: a JSON object, in Avro as text. */
  latency: Record<string, unknown> | null;
  /** With message_failed the error code; with message_restarted the reason. */
  code: string | null;
};

/** Work for the assistant: ids only, what was said stays in its database. */
export type ChatRequestEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What is asked for: an answer, an end to one, or what a decision about a quote brings with it. */
  event_type: 'turn_requested' | 'stop_requested' | 'approval_decided';
  /** When it was asked for, by the clock of the chat service, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** The user who asks and owns the conversation. */
  user_id: string;
  /** The conversation; the record's key, so that its turns are answered in order. */
  conversation_id: string;
  /** The turn to run or to stop. */
  turn_id: string;
  /** The user's message that is answered; with approval_decided the message that answers the decision. */
  message_id: string;
  /** With approval_decided the approval; else null. */
  approval_id: string | null;
};

export type DeadLetter = {
  /** UUIDv7; the record's key. */
  id: string;
  /** Where the letter stands. */
  state: 'waiting' | 'replaying' | 'resolved' | 'discarded';
  /** The consumer group that gave up. */
  group: string;
  /** The topic the record was read from at first. */
  topic: string;
  /** Its partition there. */
  partition: number;
  /** Its offset there, in decimal digits. */
  offset: string;
  /** Id of the event that failed, if it has one. */
  event_id: string | null;
  /** Type of the event that failed, if it has one. */
  event_type: string | null;
  /** Code of the last error. */
  error_code: string | null;
  /** Name of the last error's class. */
  error_class: string | null;
  /** The same for letters that failed alike. */
  fingerprint: string;
  /** How often it was tried, replays included. */
  attempts: number;
  /** 1 when kept, one more with each change. */
  version: number;
};

export type DeadLetterAlert = {
  /** UUIDv7; the record's key. */
  id: string;
  /** What is watched, such as volume, oldest_age or failure_rate. */
  kind: string;
  /** The consumer group; null when it is about all together. */
  group: string | null;
  /** What was measured. */
  value: number;
  /** The limit that it passed. */
  threshold: number;
};

/** What became of a dead letter, or an alert about them. It holds no value, no header and no error message: those may be text of customers, and are read over REST by those who may. */
export type DeadLetterEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What happened. Those of dead letters come with letter, those of alerts with alert. */
  event_type: 'dead_letter_kept' | 'dead_letter_edited' | 'dead_letter_replaying' | 'dead_letter_resolved' | 'dead_letter_failed_again' | 'dead_letter_discarded' | 'dead_letter_restored' | 'alert_raised' | 'alert_cleared';
  /** When it happened, by the clock of the dead-letters service, UTC. */
  occurred_at: string;
  /** Whose letter it is. The nil UUID where a letter has no tenant that can be believed, and for alerts: those are the operator's. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** Who acted; empty where nobody did. */
  user_id: string;
  /** The letter right after the event; null with alerts. */
  letter: DeadLetter | null;
  /** The alert; null with dead letters. */
  alert: DeadLetterAlert | null;
};

/** One call of a language model: what it took, never what was said. */
export type LlmCallEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What happened. */
  event_type: 'llm_call';
  /** When it ended, by the clock of the chat service, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** On whose behalf; empty where it was nobody's. */
  user_id: string;
  /** The conversation, if the call was for one. */
  conversation_id: string | null;
  /** The turn, if the call was for one. */
  turn_id: string | null;
  /** What it was for, such as chat, summary, analysis or openai. */
  purpose: string;
  /** The prompt's name. */
  prompt_name: string;
  /** Hash of the prompt's text: its version. */
  prompt_hash: string;
  /** Host and port that were called; offline where none was. */
  endpoint: string;
  /** The model's name, as it was asked for. */
  model: string;
  /** Tokens sent. */
  input_tokens: number;
  /** Tokens received. */
  output_tokens: number;
  /** Millionths of the price table's currency; null where the table has no price. */
  cost_microunits: number | null;
  /** Date of the price table that was used. */
  price_date: string | null;
  /** Time to the first token, in milliseconds; null when none came. */
  ttft_ms: number | null;
  /** Time of the whole call, in milliseconds. */
  duration_ms: number;
  /** How it ended: ok, or the kind of failure. */
  outcome: string;
  /** Code of the failure; null when there was none. */
  error_code: string | null;
};

export type Notification = {
  /** UUIDv7. */
  id: string;
  /** What it is about: the event type that caused it. */
  kind: string;
  /** The event that caused it. */
  event_id: string;
  /** The order it is about, if any. */
  order_id: string | null;
  /** One line to show, without names or customers' text. */
  title: string;
  /** When its user read it, UTC; null while unread. */
  read_at: string | null;
  /** When it was made, UTC. */
  created_at: string;
};

/** A user's notification was made or read, or what he wants to hear of was changed. */
export type NotificationEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What happened. With notifications_read_all everything of the user up to occurred_at was read. */
  event_type: 'notification_created' | 'notification_read' | 'notifications_read_all' | 'notification_preferences_changed';
  /** When it happened, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** Whom it is for; the record's key. Empty when the audience is staff: such a record's key is the tenant id. */
  user_id: string;
  /** user: the one in user_id. staff: every member of staff and admin of the tenant. */
  audience: 'user' | 'staff';
  /** The notification right after the event; null with notifications_read_all and notification_preferences_changed. */
  notification: Notification | null;
  /** True: it is for the one in user_id, and only while he is a member of staff. Digests of staff are. */
  while_staff: boolean;
  /** With notification_preferences_changed: {events, quiet_hours, digest_minutes, version, updated_at}, as GET /v1/notification-preferences shows them. An object as JSON text. */
  preferences: Record<string, unknown> | null;
};

export type OrderItem = {
  /** The product in the catalogue; it may have been deleted since. */
  product_id: string;
  /** The product's name when it was ordered. */
  name: string;
  /** How many, at least 1. */
  quantity: number;
  /** Price of one, in minor units of the order's currency. */
  unit_price: number;
  /** unit_price times quantity, in minor units. */
  line_total: number;
};

export type Order = {
  /** UUIDv7; the record's key. */
  id: string;
  /** Whose data it is. */
  tenant_id: string;
  /** The customer who owns it. */
  user_id: string;
  /** Where the order stands. */
  status: 'pending' | 'confirmed' | 'preparing' | 'ready' | 'completed' | 'cancelled';
  /** What was ordered, 1 to 200 lines. */
  items: OrderItem[];
  /** ISO 4217 code of every amount in the order. */
  currency: string;
  /** Sum of the lines, in minor units. */
  subtotal: number;
  /** What the promotion takes off, in minor units; 0 without one. */
  discount: number;
  /** subtotal less discount, in minor units. */
  total: number;
  /** The promotion that was applied. */
  promo_code: string | null;
  /** 1 when created, one more with each change: it orders an order's events. */
  version: number;
  /** When it was placed, UTC. */
  created_at: string;
  /** When it last changed, UTC. */
  updated_at: string;
};

/** What happened to an order, with the order as it was right after. Names of people and text that a customer wrote (notes, reasons) are never part of it. */
export type OrderEvent = {
  /** UUIDv7 of the event: the idempotency key of whoever acts on it. The same as the Kafka header id. */
  event_id: string;
  /** What happened. A string, so that a reader of today passes over an event type of tomorrow instead of failing on it. */
  event_type: 'order_created' | 'order_status_changed' | 'order_cancelled';
  /** When it happened, by the clock of the orders service, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id; a record in which they differ is shown to nobody. */
  tenant_id: string;
  /** The customer who owns the order. */
  user_id: string;
  /** The user who caused the event: the owner, or a member of staff. */
  actor_id: string;
  /** The order right after the event. */
  order: Order;
  /** The status before the event; null for order_created. */
  previous_status: string | null;
};

/** Tokens that are void although they have not expired: those of one session, or all of a user that were issued before occurred_at. */
export type RevocationEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** How much is void: one session, or everything of the user. */
  event_type: 'session_revoked' | 'user_revoked';
  /** When it happened, UTC. With user_revoked, tokens issued before it are void. */
  occurred_at: string;
  /** The user's tenant. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** Whose tokens; the record's key. */
  user_id: string;
  /** With session_revoked the session (claim sid of its tokens); else null. */
  session_id: string | null;
  /** When the last of those tokens expires by itself, UTC: nobody needs to remember the revocation after it. */
  valid_until: string;
};

/** The decoded value of each schema. */
export type SchemaValues = {
  catalog_v1: CatalogEvent;
  chat_event_v1: ChatEvent;
  chat_request_v1: ChatRequestEvent;
  dead_letter_v1: DeadLetterEvent;
  llm_call_v1: LlmCallEvent;
  notification_v1: NotificationEvent;
  order_v1: OrderEvent;
  revocation_v1: RevocationEvent;
};

export type SchemaName = keyof SchemaValues;

/** The schemas as they are registered: Avro, as JSON text. */
export const schemaTexts: Record<SchemaName, string> = {
  catalog_v1: "{\"type\":\"record\",\"name\":\"catalog_v1\",\"namespace\":\"ragline\",\"doc\":\"A change of the catalogue, with a snapshot of what changed. Every kind of snapshot has a nullable field of its own, since a field can be added compatibly in both directions and a branch of a union cannot.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"product_changed\",\"product_deleted\",\"document_changed\",\"document_deleted\"]},\"doc\":\"What happened. Made and changed are the same event: its snapshot replaces whatever a reader has under the key.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the service that owns the snapshot, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"actor_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who caused the event.\"},{\"name\":\"product\",\"default\":null,\"doc\":\"With product_changed the product right after, with product_deleted as it was last; else null.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"product\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is.\"},{\"name\":\"name\",\"type\":\"string\",\"doc\":\"As shown to customers.\"},{\"name\":\"description\",\"type\":\"string\",\"default\":\"\",\"doc\":\"Longer text, as shown to customers.\"},{\"name\":\"category\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The one category it is in.\"},{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[],\"doc\":\"Words it is found by.\"},{\"name\":\"price\",\"type\":\"long\",\"doc\":\"In minor units of its currency.\"},{\"name\":\"currency\",\"type\":\"string\",\"doc\":\"ISO 4217 code.\"},{\"name\":\"available\",\"type\":\"boolean\",\"doc\":\"Whether it can be ordered.\"},{\"name\":\"attributes\",\"type\":{\"type\":\"string\",\"logicalType\":\"json\"},\"doc\":\"Whatever else a tenant keeps about it: a JSON object, in Avro as text.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when made, one more with each change.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was made, UTC.\"},{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it last changed, UTC.\"}]}]},{\"name\":\"document\",\"default\":null,\"doc\":\"With document_changed the document right after, with document_deleted as it was last; else null.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"document\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is.\"},{\"name\":\"kind\",\"type\":\"string\",\"doc\":\"What it is: policy, faq or note.\"},{\"name\":\"title\",\"type\":\"string\",\"doc\":\"As shown to customers.\"},{\"name\":\"source\",\"type\":\"string\",\"doc\":\"Where it comes from: a path or an address.\"},{\"name\":\"language\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Its language (BCP 47), where known.\"},{\"name\":\"text\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"What it says; null above 256 KiB: then it is read over REST.\"},{\"name\":\"content_hash\",\"type\":\"string\",\"doc\":\"SHA-256 of title and text, in hexadecimal digits.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when made, one more with each change.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was made, UTC.\"},{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it last changed, UTC.\"}]}]}]}",
  chat_event_v1: "{\"type\":\"record\",\"name\":\"chat_event_v1\",\"namespace\":\"ragline\",\"doc\":\"An answer as it comes about. Flat: what an event has nothing to say about is null, and left out where it is shown.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUID of the event, the same when the event is sent again. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"message_delta\",\"tool_started\",\"tool_finished\",\"citation\",\"approval_required\",\"message_restarted\",\"message_completed\",\"message_failed\",\"message_stopped\"]},\"doc\":\"What happened. The last three end a turn; after message_restarted the answer begins anew.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the chat service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who owns the conversation; nobody else is shown it.\"},{\"name\":\"conversation_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The conversation; the record's key.\"},{\"name\":\"turn_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The turn it belongs to.\"},{\"name\":\"message_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The answer it is a part of.\"},{\"name\":\"generation\",\"type\":\"int\",\"doc\":\"Which attempt at the turn this is, from 1: one more when another worker takes it over.\"},{\"name\":\"sequence\",\"type\":\"int\",\"doc\":\"Its place in the attempt, from 1.\"},{\"name\":\"text\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With message_delta what is added to the answer.\"},{\"name\":\"index\",\"type\":[\"null\",\"int\"],\"default\":null,\"doc\":\"With citation the number of its marker in the text, from 1.\"},{\"name\":\"title\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With citation what to call the source.\"},{\"name\":\"source\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With citation where it is: a path or an address.\"},{\"name\":\"document_id\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With citation the product or document.\"},{\"name\":\"tool\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With tool_started and tool_finished the tool's name.\"},{\"name\":\"call_id\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With tool_started and tool_finished the call, which pairs them.\"},{\"name\":\"ok\",\"type\":[\"null\",\"boolean\"],\"default\":null,\"doc\":\"With tool_finished whether it succeeded.\"},{\"name\":\"summary\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With tool_finished one line to show.\"},{\"name\":\"duration_ms\",\"type\":[\"null\",\"int\"],\"default\":null,\"doc\":\"With tool_finished how long it took.\"},{\"name\":\"approval_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"With approval_required what to answer to.\"},{\"name\":\"quote\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"json\"}],\"default\":null,\"doc\":\"With approval_required the priced order to approve: a JSON object, in Avro as text.\"},{\"name\":\"message\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"json\"}],\"default\":null,\"doc\":\"With message_completed and message_stopped the whole answer: a JSON object, in Avro as text.\"},{\"name\":\"usage\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"json\"}],\"default\":null,\"doc\":\"With message_completed the tokens used: a JSON object, in Avro as text.\"},{\"name\":\"latency\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"json\"}],\"default\":null,\"doc\":\"With message_completed milliseconds by hop: a JSON object, in Avro as text.\"},{\"name\":\"code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"With message_failed the error code; with message_restarted the reason.\"}]}",
  chat_request_v1: "{\"type\":\"record\",\"name\":\"chat_request_v1\",\"namespace\":\"ragline\",\"doc\":\"Work for the assistant: ids only, what was said stays in its database.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"turn_requested\",\"stop_requested\",\"approval_decided\"]},\"doc\":\"What is asked for: an answer, an end to one, or what a decision about a quote brings with it.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was asked for, by the clock of the chat service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who asks and owns the conversation.\"},{\"name\":\"conversation_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The conversation; the record's key, so that its turns are answered in order.\"},{\"name\":\"turn_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The turn to run or to stop.\"},{\"name\":\"message_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user's message that is answered; with approval_decided the message that answers the decision.\"},{\"name\":\"approval_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"With approval_decided the approval; else null.\"}]}",
  dead_letter_v1: "{\"type\":\"record\",\"name\":\"dead_letter_v1\",\"namespace\":\"ragline\",\"doc\":\"What became of a dead letter, or an alert about them. It holds no value, no header and no error message: those may be text of customers, and are read over REST by those who may.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"dead_letter_kept\",\"dead_letter_edited\",\"dead_letter_replaying\",\"dead_letter_resolved\",\"dead_letter_failed_again\",\"dead_letter_discarded\",\"dead_letter_restored\",\"alert_raised\",\"alert_cleared\"]},\"doc\":\"What happened. Those of dead letters come with letter, those of alerts with alert.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the dead-letters service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose letter it is. The nil UUID where a letter has no tenant that can be believed, and for alerts: those are the operator's. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":\"string\",\"doc\":\"Who acted; empty where nobody did.\"},{\"name\":\"letter\",\"default\":null,\"doc\":\"The letter right after the event; null with alerts.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"dead_letter\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"state\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"waiting\",\"replaying\",\"resolved\",\"discarded\"]},\"doc\":\"Where the letter stands.\"},{\"name\":\"group\",\"type\":\"string\",\"doc\":\"The consumer group that gave up.\"},{\"name\":\"topic\",\"type\":\"string\",\"doc\":\"The topic the record was read from at first.\"},{\"name\":\"partition\",\"type\":\"int\",\"doc\":\"Its partition there.\"},{\"name\":\"offset\",\"type\":\"string\",\"doc\":\"Its offset there, in decimal digits.\"},{\"name\":\"event_id\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Id of the event that failed, if it has one.\"},{\"name\":\"event_type\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Type of the event that failed, if it has one.\"},{\"name\":\"error_code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Code of the last error.\"},{\"name\":\"error_class\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Name of the last error's class.\"},{\"name\":\"fingerprint\",\"type\":\"string\",\"doc\":\"The same for letters that failed alike.\"},{\"name\":\"attempts\",\"type\":\"int\",\"doc\":\"How often it was tried, replays included.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when kept, one more with each change.\"}]}]},{\"name\":\"alert\",\"default\":null,\"doc\":\"The alert; null with dead letters.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"dead_letter_alert\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"kind\",\"type\":\"string\",\"doc\":\"What is watched, such as volume, oldest_age or failure_rate.\"},{\"name\":\"group\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The consumer group; null when it is about all together.\"},{\"name\":\"value\",\"type\":\"double\",\"doc\":\"What was measured.\"},{\"name\":\"threshold\",\"type\":\"double\",\"doc\":\"The limit that it passed.\"}]}]}]}",
  llm_call_v1: "{\"type\":\"record\",\"name\":\"llm_call_v1\",\"namespace\":\"ragline\",\"doc\":\"One call of a language model: what it took, never what was said.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"llm_call\"]},\"doc\":\"What happened.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it ended, by the clock of the chat service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":\"string\",\"doc\":\"On whose behalf; empty where it was nobody's.\"},{\"name\":\"conversation_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"The conversation, if the call was for one.\"},{\"name\":\"turn_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"The turn, if the call was for one.\"},{\"name\":\"purpose\",\"type\":\"string\",\"doc\":\"What it was for, such as chat, summary, analysis or openai.\"},{\"name\":\"prompt_name\",\"type\":\"string\",\"doc\":\"The prompt's name.\"},{\"name\":\"prompt_hash\",\"type\":\"string\",\"doc\":\"Hash of the prompt's text: its version.\"},{\"name\":\"endpoint\",\"type\":\"string\",\"doc\":\"Host and port that were called; offline where none was.\"},{\"name\":\"model\",\"type\":\"string\",\"doc\":\"The model's name, as it was asked for.\"},{\"name\":\"input_tokens\",\"type\":\"int\",\"doc\":\"Tokens sent.\"},{\"name\":\"output_tokens\",\"type\":\"int\",\"doc\":\"Tokens received.\"},{\"name\":\"cost_microunits\",\"type\":[\"null\",\"long\"],\"default\":null,\"doc\":\"Millionths of the price table's currency; null where the table has no price.\"},{\"name\":\"price_date\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Date of the price table that was used.\"},{\"name\":\"ttft_ms\",\"type\":[\"null\",\"int\"],\"default\":null,\"doc\":\"Time to the first token, in milliseconds; null when none came.\"},{\"name\":\"duration_ms\",\"type\":\"int\",\"doc\":\"Time of the whole call, in milliseconds.\"},{\"name\":\"outcome\",\"type\":\"string\",\"doc\":\"How it ended: ok, or the kind of failure.\"},{\"name\":\"error_code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Code of the failure; null when there was none.\"}]}",
  notification_v1: "{\"type\":\"record\",\"name\":\"notification_v1\",\"namespace\":\"ragline\",\"doc\":\"A user's notification was made or read, or what he wants to hear of was changed.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"notification_created\",\"notification_read\",\"notifications_read_all\",\"notification_preferences_changed\"]},\"doc\":\"What happened. With notifications_read_all everything of the user up to occurred_at was read.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":\"string\",\"doc\":\"Whom it is for; the record's key. Empty when the audience is staff: such a record's key is the tenant id.\"},{\"name\":\"audience\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"user\",\"staff\"]},\"default\":\"user\",\"doc\":\"user: the one in user_id. staff: every member of staff and admin of the tenant.\"},{\"name\":\"notification\",\"default\":null,\"doc\":\"The notification right after the event; null with notifications_read_all and notification_preferences_changed.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"notification\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7.\"},{\"name\":\"kind\",\"type\":\"string\",\"doc\":\"What it is about: the event type that caused it.\"},{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The event that caused it.\"},{\"name\":\"order_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"The order it is about, if any.\"},{\"name\":\"title\",\"type\":\"string\",\"doc\":\"One line to show, without names or customers' text.\"},{\"name\":\"read_at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}],\"default\":null,\"doc\":\"When its user read it, UTC; null while unread.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was made, UTC.\"}]}]},{\"name\":\"while_staff\",\"type\":\"boolean\",\"default\":false,\"doc\":\"True: it is for the one in user_id, and only while he is a member of staff. Digests of staff are.\"},{\"name\":\"preferences\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"json\"}],\"default\":null,\"doc\":\"With notification_preferences_changed: {events, quiet_hours, digest_minutes, version, updated_at}, as GET /v1/notification-preferences shows them. An object as JSON text.\"}]}",
  order_v1: "{\"type\":\"record\",\"name\":\"order_v1\",\"namespace\":\"ragline\",\"doc\":\"What happened to an order, with the order as it was right after. Names of people and text that a customer wrote (notes, reasons) are never part of it.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event: the idempotency key of whoever acts on it. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"order_created\",\"order_status_changed\",\"order_cancelled\"]},\"doc\":\"What happened. A string, so that a reader of today passes over an event type of tomorrow instead of failing on it.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the orders service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id; a record in which they differ is shown to nobody.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The customer who owns the order.\"},{\"name\":\"actor_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who caused the event: the owner, or a member of staff.\"},{\"name\":\"order\",\"doc\":\"The order right after the event.\",\"type\":{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The customer who owns it.\"},{\"name\":\"status\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"pending\",\"confirmed\",\"preparing\",\"ready\",\"completed\",\"cancelled\"]},\"doc\":\"Where the order stands.\"},{\"name\":\"items\",\"doc\":\"What was ordered, 1 to 200 lines.\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"order_item\",\"fields\":[{\"name\":\"product_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The product in the catalogue; it may have been deleted since.\"},{\"name\":\"name\",\"type\":\"string\",\"doc\":\"The product's name when it was ordered.\"},{\"name\":\"quantity\",\"type\":\"int\",\"doc\":\"How many, at least 1.\"},{\"name\":\"unit_price\",\"type\":\"long\",\"doc\":\"Price of one, in minor units of the order's currency.\"},{\"name\":\"line_total\",\"type\":\"long\",\"doc\":\"unit_price times quantity, in minor units.\"}]}}},{\"name\":\"currency\",\"type\":\"string\",\"doc\":\"ISO 4217 code of every amount in the order.\"},{\"name\":\"subtotal\",\"type\":\"long\",\"doc\":\"Sum of the lines, in minor units.\"},{\"name\":\"discount\",\"type\":\"long\",\"doc\":\"What the promotion takes off, in minor units; 0 without one.\"},{\"name\":\"total\",\"type\":\"long\",\"doc\":\"subtotal less discount, in minor units.\"},{\"name\":\"promo_code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The promotion that was applied.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when created, one more with each change: it orders an order's events.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was placed, UTC.\"},{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it last changed, UTC.\"}]}},{\"name\":\"previous_status\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The status before the event; null for order_created.\"}]}",
  revocation_v1: "{\"type\":\"record\",\"name\":\"revocation_v1\",\"namespace\":\"ragline\",\"doc\":\"Tokens that are void although they have not expired: those of one session, or all of a user that were issued before occurred_at.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"session_revoked\",\"user_revoked\"]},\"doc\":\"How much is void: one session, or everything of the user.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, UTC. With user_revoked, tokens issued before it are void.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user's tenant. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose tokens; the record's key.\"},{\"name\":\"session_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"With session_revoked the session (claim sid of its tokens); else null.\"},{\"name\":\"valid_until\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When the last of those tokens expires by itself, UTC: nobody needs to remember the revocation after it.\"}]}",
};
