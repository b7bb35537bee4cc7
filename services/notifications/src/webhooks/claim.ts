/** What one sender takes to send, and what it writes down afterwards. */
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { DisabledReason, Health, NextStep, Outcome } from './decide.ts';
import type { SealedSecret } from './endpoint-store.ts';

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
};

export async function claimDue(
  pool: Pick<Pool, 'query'>,
  { claim, max, perEndpoint, openAfter, leaseMs }: ClaimOptions,
): Promise<Claimed[]> {
  const { rows } = await pool.query<Claimed>({
    name: 'webhooks_claim',
    text: 'SELECT * FROM notifications.claim_webhooks($1, $2, $3, $4, $5)',
    values: [claim, max, perEndpoint, openAfter, leaseMs],
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
 * Writes a successful try down, and forgets what had failed before. A claim that has ended in the meantime (the process
 * was frozen) is no more: the delivery is someone else's.
 */
export async function markDelivered(pool: Pool, tried: Tried): Promise<void> {
  const { tenant_id, webhook_id } = tried.claimed;
  await inTenant(pool, tenant_id, async (client) => {
    await client.query({
      name: 'webhooks_mark_healthy',
      text: `UPDATE notifications.webhook SET failures = 0, failing_since = NULL, exhausted = 0, open_until = NULL
              WHERE tenant_id = $1 AND id = $2
                AND (failures > 0 OR exhausted > 0 OR failing_since IS NOT NULL OR open_until IS NOT NULL)`,
      values: [tenant_id, webhook_id],
    });
    await markTry(client, tried);
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
    if (!(await markTry(client, tried))) return undefined;
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

/** False when the claim is no longer the caller's. */
async function markTry(client: Client, tried: Tried): Promise<boolean> {
  const { claim, claimed, step, outcome } = tried;
  const { tenant_id, delivery_id, attempt } = claimed;
  const { rowCount } = await client.query({
    name: 'webhooks_mark_try',
    text: `WITH marked AS (
             UPDATE notifications.webhook_delivery
                SET state = $4, tries = tries + 1, claim = NULL, claimed_until = NULL,
                    next_at = CASE WHEN $4 = 'waiting' THEN clock_timestamp() + make_interval(secs => $5 / 1000.0) END,
                    finished_at = CASE WHEN $4 <> 'waiting' THEN clock_timestamp() END
              WHERE tenant_id = $1 AND id = $2 AND claim = $3
             RETURNING id)
           INSERT INTO notifications.webhook_attempt
             (tenant_id, delivery_id, number, at, duration_ms, status, error_code, answer)
           SELECT $1, id, $6, $7, $8, $9, $10, $11 FROM marked`,
    values: [
      tenant_id,
      delivery_id,
      claim,
      step.state,
      step.state === 'waiting' ? Math.round(step.delayMs) : 0,
      attempt,
      tried.at,
      Math.round(tried.durationMs),
      tried.status,
      errorCodeOf(outcome),
      tried.answer,
    ],
  });
  return rowCount === 1;
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
