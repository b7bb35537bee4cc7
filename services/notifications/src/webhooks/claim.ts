/** What one sender takes to send, and what it writes down afterwards. */
import { type Client, inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import type { DisabledReason, Health, NextStep, Outcome } from './decide.ts';
import type { SealedSecret } from './endpoint-store.ts';
import { seeAllTenants } from './scope.ts';

/** A delivery that this claim alone may send, until its lease ends. */
export type Claimed = {
  delivery_id: string;
  tenant_id: string;
  webhook_id: string;
  /** Counts from 1, over all that were begun. */
  attempt: number;
  /** Since it was asked for, without this one. */
  tries: number;
  url: string;
  /** All that are good now, newest first. */
  secrets: SealedSecret[];
  body: string;
  event_type: string;
  traceparent: string;
  /** Since the event, ms. */
  age_ms: number;
  /** Whoever had it before ended without a word: the receiver may have it already. */
  lost: boolean;
};

export type ClaimOptions = {
  claim: string;
  max: number;
  perEndpoint: number;
  openAfter: number;
  leaseMs: number;
  perTenant: number;
};

export async function claimDue(
  pool: Pick<Pool, 'query'>,
  { claim, max, perEndpoint, openAfter, leaseMs, perTenant }: ClaimOptions,
): Promise<Claimed[]> {
  const { rows } = await pool.query<Claimed>({
    name: 'webhooks_claim',
    text: 'SELECT * FROM notifications.claim_webhooks($1, $2, $3, $4, $5, $6)',
    values: [claim, max, perEndpoint, openAfter, leaseMs, perTenant],
  });
  return rows;
}

/** A try as it is written down. */
export type Tried = {
  claim: string;
  claimed: Claimed;
  at: Date;
  durationMs: number;
  status: number | null;
  answer: string | null;
  outcome: Outcome;
  step: NextStep;
};

/**
 * Writes successful tries down, of any tenants, and forgets what had failed before at their endpoints. A claim that has
 * ended in the meantime (the process was frozen) is no more: the delivery is someone else's.
 */
export async function markDelivered(pool: Pool, tried: readonly Tried[]): Promise<void> {
  await inTransaction(pool, async (client) => {
    await seeAllTenants(client);
    await client.query({
      name: 'webhooks_mark_healthy',
      // A pause that a receiver asked for holds, whatever else was under way; another address's success says nothing.
      // In one order, so that two instances that mark at once cannot wait for each other.
      text: `UPDATE notifications.webhook
                SET failures = 0, failing_since = NULL, exhausted = 0,
                    open_until = CASE WHEN open_until > clock_timestamp() THEN open_until END
              WHERE id IN (
                SELECT id FROM notifications.webhook
                 WHERE (id, url) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
                   AND (failures > 0 OR exhausted > 0 OR failing_since IS NOT NULL OR open_until <= clock_timestamp())
                 ORDER BY id FOR NO KEY UPDATE)`,
      values: [tried.map(({ claimed }) => claimed.webhook_id), tried.map(({ claimed }) => claimed.url)],
    });
    await markTries(client, tried);
  });
}

export type Judge = (health: Health) => { health: Health; disabled: DisabledReason | undefined };

/**
 * Writes a failed try down and what it means for the endpoint, which is locked from before its health is read.
 *
 * @param onDisabled runs in the same transaction, when this try has disabled the endpoint
 */
export async function markFailed(
  pool: Pool,
  tried: Tried,
  judge: Judge,
  onDisabled: (client: Client, reason: DisabledReason) => Promise<void>,
): Promise<DisabledReason | undefined> {
  const { tenant_id, webhook_id, url } = tried.claimed;
  return inTenant(pool, tenant_id, async (client) => {
    const { rows } = await client.query<HealthRow>({
      name: 'webhooks_lock_health',
      text: `SELECT failures, failing_since, exhausted, open_until, active, url FROM notifications.webhook
              WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE`,
      values: [tenant_id, webhook_id],
    });
    const [row] = rows;
    if (row === undefined) return undefined;
    if ((await markTries(client, [tried])) === 0) return undefined;
    // What was sent to another address, or before it was switched off, says nothing of what there is now.
    if (!row.active || row.url !== url) return undefined;
    const { health, disabled } = judge(healthOf(row));
    await client.query({
      name: 'webhooks_mark_health',
      text: `UPDATE notifications.webhook
                SET failures = $3, failing_since = $4, exhausted = $5, open_until = $6,
                    active = $7::text IS NULL, disabled_reason = $7,
                    disabled_at = CASE WHEN $7::text IS NOT NULL THEN clock_timestamp() END
              WHERE tenant_id = $1 AND id = $2`,
      values: [
        tenant_id,
        webhook_id,
        health.failures,
        dateOf(health.failingSince),
        health.exhausted,
        dateOf(health.openUntil),
        disabled ?? null,
      ],
    });
    if (disabled !== undefined) await onDisabled(client, disabled);
    return disabled;
  });
}

/** Gives a claim back unused, at a stop: whoever claims next knows that the receiver may have it. */
export async function giveBack(
  pool: Pool,
  claim: string,
  { tenant_id, delivery_id }: Claimed,
): Promise<void> {
  await inTenant(pool, tenant_id, (client) =>
    client.query({
      name: 'webhooks_give_back',
      text: `UPDATE notifications.webhook_delivery SET claimed_until = clock_timestamp()
              WHERE tenant_id = $1 AND id = $2 AND claim = $3`,
      values: [tenant_id, delivery_id, claim],
    }),
  );
}

type HealthRow = {
  failures: number;
  failing_since: Date | null;
  exhausted: number;
  open_until: Date | null;
  active: boolean;
  url: string;
};

/** How many of the claims were still the caller's. */
async function markTries(client: Client, tried: readonly Tried[]): Promise<number> {
  const { rowCount } = await client.query({
    name: 'webhooks_mark_tries',
    text: `WITH tried AS (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::int[], $6::timestamptz[], $7::int[],
                                  $8::int[], $9::text[], $10::text[])
               AS t(id, claim, state, delay_ms, number, at, duration_ms, status, error_code, answer)
           ), marked AS (
             UPDATE notifications.webhook_delivery d
                SET state = t.state, tries = d.tries + 1, claim = NULL, claimed_until = NULL,
                    next_at = CASE WHEN t.state = 'waiting'
                                   THEN clock_timestamp() + make_interval(secs => t.delay_ms / 1000.0) END,
                    finished_at = CASE WHEN t.state <> 'waiting' THEN clock_timestamp() END
               FROM tried t WHERE d.id = t.id AND d.claim = t.claim
             RETURNING d.id, d.tenant_id)
           INSERT INTO notifications.webhook_attempt
             (tenant_id, delivery_id, number, at, duration_ms, status, error_code, answer)
           SELECT m.tenant_id, t.id, t.number, t.at, t.duration_ms, t.status, t.error_code, t.answer
             FROM marked m JOIN tried t ON t.id = m.id`,
    values: [
      tried.map(({ claimed }) => claimed.delivery_id),
      tried.map(({ claim }) => claim),
      tried.map(({ step }) => step.state),
      tried.map(({ step }) => (step.state === 'waiting' ? Math.round(step.delayMs) : 0)),
      tried.map(({ claimed }) => claimed.attempt),
      tried.map(({ at }) => at),
      tried.map(({ durationMs }) => Math.round(durationMs)),
      tried.map(({ status }) => status),
      tried.map(({ outcome }) => errorCodeOf(outcome)),
      tried.map(({ answer }) => answer),
    ],
  });
  return rowCount ?? 0;
}

function errorCodeOf(outcome: Outcome): string | null {
  if (outcome.kind === 'delivered') return null;
  return outcome.kind === 'gone' ? 'gone' : outcome.error_code;
}

function healthOf({ failures, failing_since, exhausted, open_until }: HealthRow): Health {
  return {
    failures,
    failingSince: failing_since?.getTime(),
    exhausted,
    openUntil: open_until?.getTime(),
  };
}

const dateOf = (ms: number | undefined): Date | null => (ms === undefined ? null : new Date(ms));
