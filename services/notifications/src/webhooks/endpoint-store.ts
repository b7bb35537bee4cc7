/** Endpoints of a tenant and their secrets. All functions run in a transaction of the tenant. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { newSecret, type SecretKeys } from './keys.ts';

/** An endpoint as its tenant's admins see it. */
export type Endpoint = {
  id: string;
  url: string;
  event_types: string[];
  description: string | null;
  active: boolean;
  disabled_reason: string | null;
  disabled_at: string | null;
  failing_since: string | null;
  paused_until: string | null;
  created_at: string;
  updated_at: string;
};

export type NewEndpoint = {
  url: string;
  event_types: readonly string[];
  description: string | null;
  active: boolean;
};

type Times = 'disabled_at' | 'failing_since' | 'paused_until' | 'created_at' | 'updated_at';
type Row = Omit<Endpoint, Times> & { [T in Times]: Date | null };

const columns = `id, url, event_types, description, active, disabled_reason, disabled_at, failing_since,
  CASE WHEN active AND open_until > clock_timestamp() THEN open_until END AS paused_until, created_at, updated_at`;

/** Secrets that sign at a time, at most: each is a signature in a header. */
export const secretsMax = 4;

/** How many the tenant has; others that would add to them wait for this transaction. */
export async function countEndpoints(client: Client, tenantId: string): Promise<number> {
  await client.query({
    name: 'webhooks_lock_count',
    text: "SELECT pg_advisory_xact_lock(hashtextextended('ragline.webhooks.' || $1, 0))",
    values: [tenantId],
  });
  const { rows } = await client.query<{ count: number }>({
    name: 'webhooks_count',
    text: 'SELECT count(*) AS count FROM notifications.webhook WHERE tenant_id = $1 AND removed_at IS NULL',
    values: [tenantId],
  });
  return rows[0]?.count ?? 0;
}

export async function addEndpoint(
  client: Client,
  { tenant_id, user_id }: { tenant_id: string; user_id: string },
  { url, event_types, description, active }: NewEndpoint,
): Promise<Endpoint> {
  const { rows } = await client.query<Row>({
    name: 'webhooks_add',
    text: `INSERT INTO notifications.webhook (id, tenant_id, url, event_types, description, active, created_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${columns}`,
    values: [randomUUIDv7(), tenant_id, url, event_types, description, active, user_id],
  });
  return only(rows);
}

export async function findEndpoint(
  client: Client,
  tenantId: string,
  id: string,
): Promise<Endpoint | undefined> {
  const { rows } = await client.query<Row>({
    name: 'webhooks_find',
    text: `SELECT ${columns} FROM notifications.webhook WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL`,
    values: [tenantId, id],
  });
  return rows.map(endpointOf)[0];
}

/** Newest first: one more than the limit when there are more. */
export async function listEndpoints(
  client: Client,
  tenantId: string,
  page: { before: string | undefined; limit: number },
): Promise<Endpoint[]> {
  const { rows } = await client.query<Row>({
    name: 'webhooks_list',
    text: `SELECT ${columns} FROM notifications.webhook
            WHERE tenant_id = $1 AND removed_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
    values: [tenantId, page.before ?? null, page.limit + 1],
  });
  return rows.map(endpointOf);
}

/**
 * Changes what is given. Another url, and being made active, are a new beginning: failures of before count no more, and
 * nothing waits for the end of a pause.
 */
export async function changeEndpoint(
  client: Client,
  tenantId: string,
  id: string,
  change: Partial<NewEndpoint>,
): Promise<Endpoint | undefined> {
  const { rows } = await client.query<Row>({
    name: 'webhooks_change',
    text: `UPDATE notifications.webhook SET
             url = coalesce($3, url), event_types = coalesce($4, event_types),
             description = CASE WHEN $5 THEN $6 ELSE description END, active = coalesce($7, active),
             disabled_reason = CASE WHEN $7 THEN NULL ELSE disabled_reason END,
             disabled_at = CASE WHEN $7 THEN NULL ELSE disabled_at END,
             failures = CASE WHEN $7 OR $3 <> url THEN 0 ELSE failures END,
             exhausted = CASE WHEN $7 OR $3 <> url THEN 0 ELSE exhausted END,
             failing_since = CASE WHEN $7 OR $3 <> url THEN NULL ELSE failing_since END,
             open_until = CASE WHEN $7 OR $3 <> url THEN NULL ELSE open_until END,
             updated_at = clock_timestamp()
           WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL RETURNING ${columns}`,
    values: [
      tenantId,
      id,
      change.url ?? null,
      change.event_types ?? null,
      change.description !== undefined,
      change.description ?? null,
      change.active ?? null,
    ],
  });
  return rows.map(endpointOf)[0];
}

/**
 * For everybody it is no more, its secrets are deleted; its deliveries, which may be many, follow bit by bit (pruneWebhooks).
 * False when there is none.
 */
export async function removeEndpoint(client: Client, tenantId: string, id: string): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'webhooks_remove',
    text: `UPDATE notifications.webhook SET removed_at = clock_timestamp(), active = false
            WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL`,
    values: [tenantId, id],
  });
  if (rowCount !== 1) return false;
  await client.query({
    name: 'webhooks_remove_secrets',
    text: 'DELETE FROM notifications.webhook_secret WHERE tenant_id = $1 AND webhook_id = $2',
    values: [tenantId, id],
  });
  return true;
}

/**
 * Makes a secret the present one; those before it are good for the overlap, the latest of them at most.
 * Gives it as it is sealed: it opens by openSecret for the same endpoint.
 */
export async function addSecret(
  client: Client,
  keys: SecretKeys,
  endpoint: { tenant_id: string; webhook_id: string },
  overlapMs: number,
): Promise<SealedSecret> {
  const { tenant_id, webhook_id } = endpoint;
  // Of two that make one at a time, the second sees what the first has made.
  await client.query({
    name: 'webhooks_lock',
    text: 'SELECT FROM notifications.webhook WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE',
    values: [tenant_id, webhook_id],
  });
  const id = randomUUIDv7();
  const sealed = keys.seal(newSecret(), contextOf(webhook_id, id));
  await client.query({
    name: 'webhooks_expire_secrets',
    text: `UPDATE notifications.webhook_secret
              SET expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $3 / 1000.0))
            WHERE tenant_id = $1 AND webhook_id = $2`,
    values: [tenant_id, webhook_id, overlapMs],
  });
  await client.query({
    name: 'webhooks_add_secret',
    text: `INSERT INTO notifications.webhook_secret (id, tenant_id, webhook_id, sealed) VALUES ($1, $2, $3, $4)`,
    values: [id, tenant_id, webhook_id, sealed],
  });
  await client.query({
    name: 'webhooks_drop_secrets',
    text: `DELETE FROM notifications.webhook_secret WHERE tenant_id = $1 AND webhook_id = $2
              AND (expires_at <= clock_timestamp() OR id NOT IN (
                SELECT id FROM notifications.webhook_secret WHERE webhook_id = $2 ORDER BY id DESC LIMIT $3))`,
    values: [tenant_id, webhook_id, secretsMax],
  });
  return { id, sealed };
}

export type SealedSecret = { id: string; sealed: string };

export function openSecret(keys: SecretKeys, webhookId: string, { id, sealed }: SealedSecret): string {
  return keys.open(sealed, contextOf(webhookId, id));
}

const contextOf = (webhookId: string, secretId: string): string => `${webhookId}/${secretId}`;

function only(rows: readonly Row[]): Endpoint {
  const [row] = rows;
  if (row === undefined) throw new Error('No row came back');
  return endpointOf(row);
}

function endpointOf({ id, url, event_types, description, active, disabled_reason, ...times }: Row): Endpoint {
  return {
    id,
    url,
    event_types,
    description,
    active,
    disabled_reason,
    disabled_at: times.disabled_at?.toISOString() ?? null,
    failing_since: times.failing_since?.toISOString() ?? null,
    paused_until: times.paused_until?.toISOString() ?? null,
    created_at: times.created_at?.toISOString() ?? '',
    updated_at: times.updated_at?.toISOString() ?? '',
  };
}
