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

/** A user's notification was made or read. */
export type NotificationEvent = {
  /** UUIDv7 of the event. The same as the Kafka header id. */
  event_id: string;
  /** What happened. With notifications_read_all everything of the user up to occurred_at was read. */
  event_type: 'notification_created' | 'notification_read' | 'notifications_read_all';
  /** When it happened, UTC. */
  occurred_at: string;
  /** Whose data it is. The same as the Kafka header tenant_id. */
  tenant_id: string;
  /** Whom it is for; the record's key. Empty when the audience is staff: such a record's key is the tenant id. */
  user_id: string;
  /** user: the one in user_id. staff: every member of staff and admin of the tenant. */
  audience: 'user' | 'staff';
  /** The notification right after the event; null with notifications_read_all. */
  notification: Notification | null;
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
  dead_letter_v1: DeadLetterEvent;
  notification_v1: NotificationEvent;
  order_v1: OrderEvent;
  revocation_v1: RevocationEvent;
};

export type SchemaName = keyof SchemaValues;

/** The schemas as they are registered: Avro, as JSON text. */
export const schemaTexts: Record<SchemaName, string> = {
  catalog_v1: "{\"type\":\"record\",\"name\":\"catalog_v1\",\"namespace\":\"ragline\",\"doc\":\"A change of the catalogue, with a snapshot of what changed. Every kind of snapshot has a nullable field of its own, since a field can be added compatibly in both directions and a branch of a union cannot.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"product_changed\",\"product_deleted\",\"document_changed\",\"document_deleted\"]},\"doc\":\"What happened. Made and changed are the same event: its snapshot replaces whatever a reader has under the key.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the service that owns the snapshot, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"actor_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who caused the event.\"},{\"name\":\"product\",\"default\":null,\"doc\":\"With product_changed the product right after, with product_deleted as it was last; else null.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"product\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is.\"},{\"name\":\"name\",\"type\":\"string\",\"doc\":\"As shown to customers.\"},{\"name\":\"description\",\"type\":\"string\",\"default\":\"\",\"doc\":\"Longer text, as shown to customers.\"},{\"name\":\"category\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The one category it is in.\"},{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[],\"doc\":\"Words it is found by.\"},{\"name\":\"price\",\"type\":\"long\",\"doc\":\"In minor units of its currency.\"},{\"name\":\"currency\",\"type\":\"string\",\"doc\":\"ISO 4217 code.\"},{\"name\":\"available\",\"type\":\"boolean\",\"doc\":\"Whether it can be ordered.\"},{\"name\":\"attributes\",\"type\":{\"type\":\"string\",\"logicalType\":\"json\"},\"doc\":\"Whatever else a tenant keeps about it: a JSON object, in Avro as text.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when made, one more with each change.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was made, UTC.\"},{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it last changed, UTC.\"}]}]}]}",
  dead_letter_v1: "{\"type\":\"record\",\"name\":\"dead_letter_v1\",\"namespace\":\"ragline\",\"doc\":\"What became of a dead letter, or an alert about them. It holds no value, no header and no error message: those may be text of customers, and are read over REST by those who may.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"dead_letter_kept\",\"dead_letter_edited\",\"dead_letter_replaying\",\"dead_letter_resolved\",\"dead_letter_failed_again\",\"dead_letter_discarded\",\"dead_letter_restored\",\"alert_raised\",\"alert_cleared\"]},\"doc\":\"What happened. Those of dead letters come with letter, those of alerts with alert.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the dead-letters service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose letter it is. The nil UUID where a letter has no tenant that can be believed, and for alerts: those are the operator's. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":\"string\",\"doc\":\"Who acted; empty where nobody did.\"},{\"name\":\"letter\",\"default\":null,\"doc\":\"The letter right after the event; null with alerts.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"dead_letter\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"state\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"waiting\",\"replaying\",\"resolved\",\"discarded\"]},\"doc\":\"Where the letter stands.\"},{\"name\":\"group\",\"type\":\"string\",\"doc\":\"The consumer group that gave up.\"},{\"name\":\"topic\",\"type\":\"string\",\"doc\":\"The topic the record was read from at first.\"},{\"name\":\"partition\",\"type\":\"int\",\"doc\":\"Its partition there.\"},{\"name\":\"offset\",\"type\":\"string\",\"doc\":\"Its offset there, in decimal digits.\"},{\"name\":\"event_id\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Id of the event that failed, if it has one.\"},{\"name\":\"event_type\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Type of the event that failed, if it has one.\"},{\"name\":\"error_code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Code of the last error.\"},{\"name\":\"error_class\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"Name of the last error's class.\"},{\"name\":\"fingerprint\",\"type\":\"string\",\"doc\":\"The same for letters that failed alike.\"},{\"name\":\"attempts\",\"type\":\"int\",\"doc\":\"How often it was tried, replays included.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when kept, one more with each change.\"}]}]},{\"name\":\"alert\",\"default\":null,\"doc\":\"The alert; null with dead letters.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"dead_letter_alert\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"kind\",\"type\":\"string\",\"doc\":\"What is watched, such as volume, oldest_age or failure_rate.\"},{\"name\":\"group\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The consumer group; null when it is about all together.\"},{\"name\":\"value\",\"type\":\"double\",\"doc\":\"What was measured.\"},{\"name\":\"threshold\",\"type\":\"double\",\"doc\":\"The limit that it passed.\"}]}]}]}",
  notification_v1: "{\"type\":\"record\",\"name\":\"notification_v1\",\"namespace\":\"ragline\",\"doc\":\"A user's notification was made or read.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"notification_created\",\"notification_read\",\"notifications_read_all\"]},\"doc\":\"What happened. With notifications_read_all everything of the user up to occurred_at was read.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":\"string\",\"doc\":\"Whom it is for; the record's key. Empty when the audience is staff: such a record's key is the tenant id.\"},{\"name\":\"audience\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"user\",\"staff\"]},\"default\":\"user\",\"doc\":\"user: the one in user_id. staff: every member of staff and admin of the tenant.\"},{\"name\":\"notification\",\"default\":null,\"doc\":\"The notification right after the event; null with notifications_read_all.\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"notification\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7.\"},{\"name\":\"kind\",\"type\":\"string\",\"doc\":\"What it is about: the event type that caused it.\"},{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The event that caused it.\"},{\"name\":\"order_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"The order it is about, if any.\"},{\"name\":\"title\",\"type\":\"string\",\"doc\":\"One line to show, without names or customers' text.\"},{\"name\":\"read_at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}],\"default\":null,\"doc\":\"When its user read it, UTC; null while unread.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was made, UTC.\"}]}]}]}",
  order_v1: "{\"type\":\"record\",\"name\":\"order_v1\",\"namespace\":\"ragline\",\"doc\":\"What happened to an order, with the order as it was right after. Names of people and text that a customer wrote (notes, reasons) are never part of it.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event: the idempotency key of whoever acts on it. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"order_created\",\"order_status_changed\",\"order_cancelled\"]},\"doc\":\"What happened. A string, so that a reader of today passes over an event type of tomorrow instead of failing on it.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, by the clock of the orders service, UTC.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is. The same as the Kafka header tenant_id; a record in which they differ is shown to nobody.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The customer who owns the order.\"},{\"name\":\"actor_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user who caused the event: the owner, or a member of staff.\"},{\"name\":\"order\",\"doc\":\"The order right after the event.\",\"type\":{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7; the record's key.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose data it is.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The customer who owns it.\"},{\"name\":\"status\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"pending\",\"confirmed\",\"preparing\",\"ready\",\"completed\",\"cancelled\"]},\"doc\":\"Where the order stands.\"},{\"name\":\"items\",\"doc\":\"What was ordered, 1 to 200 lines.\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"order_item\",\"fields\":[{\"name\":\"product_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The product in the catalogue; it may have been deleted since.\"},{\"name\":\"name\",\"type\":\"string\",\"doc\":\"The product's name when it was ordered.\"},{\"name\":\"quantity\",\"type\":\"int\",\"doc\":\"How many, at least 1.\"},{\"name\":\"unit_price\",\"type\":\"long\",\"doc\":\"Price of one, in minor units of the order's currency.\"},{\"name\":\"line_total\",\"type\":\"long\",\"doc\":\"unit_price times quantity, in minor units.\"}]}}},{\"name\":\"currency\",\"type\":\"string\",\"doc\":\"ISO 4217 code of every amount in the order.\"},{\"name\":\"subtotal\",\"type\":\"long\",\"doc\":\"Sum of the lines, in minor units.\"},{\"name\":\"discount\",\"type\":\"long\",\"doc\":\"What the promotion takes off, in minor units; 0 without one.\"},{\"name\":\"total\",\"type\":\"long\",\"doc\":\"subtotal less discount, in minor units.\"},{\"name\":\"promo_code\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The promotion that was applied.\"},{\"name\":\"version\",\"type\":\"long\",\"doc\":\"1 when created, one more with each change: it orders an order's events.\"},{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it was placed, UTC.\"},{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it last changed, UTC.\"}]}},{\"name\":\"previous_status\",\"type\":[\"null\",\"string\"],\"default\":null,\"doc\":\"The status before the event; null for order_created.\"}]}",
  revocation_v1: "{\"type\":\"record\",\"name\":\"revocation_v1\",\"namespace\":\"ragline\",\"doc\":\"Tokens that are void although they have not expired: those of one session, or all of a user that were issued before occurred_at.\",\"fields\":[{\"name\":\"event_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"UUIDv7 of the event. The same as the Kafka header id.\"},{\"name\":\"event_type\",\"type\":{\"type\":\"string\",\"logicalType\":\"one-of\",\"values\":[\"session_revoked\",\"user_revoked\"]},\"doc\":\"How much is void: one session, or everything of the user.\"},{\"name\":\"occurred_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When it happened, UTC. With user_revoked, tokens issued before it are void.\"},{\"name\":\"tenant_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"The user's tenant. The same as the Kafka header tenant_id.\"},{\"name\":\"user_id\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"},\"doc\":\"Whose tokens; the record's key.\"},{\"name\":\"session_id\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}],\"default\":null,\"doc\":\"With session_revoked the session (claim sid of its tokens); else null.\"},{\"name\":\"valid_until\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"When the last of those tokens expires by itself, UTC: nobody needs to remember the revocation after it.\"}]}",
};
