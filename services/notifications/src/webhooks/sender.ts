/**
 * The sender, one in each instance: claims what is due, posts it, writes down how it went.
 *
 * A claim is a lease: whatever ends this process, others send what it had under the same webhook-id, which receivers know
 * doubles by. How many are under way at an endpoint is counted over all instances, by the claim.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { withSpan } from '@ragline/runtime/tracing';
import { type Claimed, claimDue, giveBack, markDelivered, markFailed, type Tried } from './claim.ts';
import { nextHealth, nextStep, openAfter, outcomeOf, type Rules, type TryResult } from './decide.ts';
import { openSecret } from './endpoint-store.ts';
import { gathered } from './gathered.ts';
import type { SecretKeys } from './keys.ts';
import { headersOf } from './message.ts';
import type { WebhookMetrics } from './metrics.ts';
import type { Notifier, Notify } from './notice.ts';
import type { Post } from './post.ts';

export type SenderOptions = {
  pool: Pool;
  post: Post;
  keys: SecretKeys;
  notifier: Notifier;
  rules: Rules;
  /** Tries at a time in this instance; of one endpoint in all instances. */
  concurrency: number;
  perEndpoint: number;
  /** How long a claim is good: longer than a try with everything that is written about it. */
  leaseMs: number;
  /** How often it looks for what nobody woke it for. */
  pollMs: number;
  /** How long a stop waits for tries that have begun. */
  stopWithinMs: number;
  log: Logger;
  metrics: WebhookMetrics;
  random?: () => number;
};

export type Sender = ReturnType<typeof startSender>;

/** Of an instance's places, what all endpoints of a tenant have together, over all instances. */
const tenantShare = 1 / 4;
// Marks need connections that the group and requests want too.
const failuresAtOnce = 2;
// Successes are written down together: they are the many, and nothing is to be judged.
const successesAtOnce = 100;
/** While much is under way, claims wait a moment for more places to be free: one for several deliveries. */
const gatherMs = 5;

export function startSender(options: SenderOptions) {
  const { pool, concurrency, perEndpoint, leaseMs, pollMs, stopWithinMs, log, metrics } = options;
  const perTenant = Math.ceil(concurrency * tenantShare);
  const aborting = new AbortController();
  let isStopping = false;
  const underWay = new Set<Promise<void>>();
  const failures = createGate(failuresAtOnce);
  const markSuccess = gathered((batch: readonly Tried[]) => markDelivered(pool, batch), successesAtOnce);
  let wanted = true;
  let wakeUp = () => {};

  /** Looks at once for what is due: called by whoever has just stored something. */
  const wake = (): void => {
    wanted = true;
    wakeUp();
  };

  const look = async (): Promise<void> => {
    const max = concurrency - underWay.size;
    if (max <= 0) return;
    const claim = randomUUID();
    const due = await claimDue(pool, { claim, max, perEndpoint, openAfter, leaseMs, perTenant });
    for (const claimed of due) {
      const sending = sendOne(claim, claimed).finally(() => {
        underWay.delete(sending);
        metrics.inFlight.set(underWay.size);
        // There is room again, at the endpoint as well.
        wake();
      });
      underWay.add(sending);
    }
    metrics.inFlight.set(underWay.size);
  };

  const run = async (): Promise<void> => {
    while (!isStopping) {
      wanted = false;
      await look().catch((error: unknown) => log.warn('webhooks cannot be claimed', { error }));
      if (!wanted && !isStopping) await pause();
      else if (underWay.size > 0) await sleep(gatherMs);
    }
  };

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, pollMs);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function sendOne(claim: string, claimed: Claimed): Promise<void> {
    try {
      const { delivery_id, webhook_id, attempt } = claimed;
      const attributes = { delivery_id, webhook_id, attempt };
      await withSpan('webhook attempt', { kind: 'client', parent: claimed.traceparent, attributes }, () =>
        tryOnce(claim, claimed),
      );
    } catch (error) {
      // Its claim ends by itself, and it is sent again.
      log.warn('webhook attempt not written down', { delivery_id: claimed.delivery_id, error });
    }
  }

  async function tryOnce(claim: string, claimed: Claimed): Promise<void> {
    const at = new Date();
    if (claimed.attempt === 1) metrics.firstAttempt.observe(Math.max(0, claimed.age_ms) / 1_000);
    const result = await postSigned(at, claimed);
    const durationMs = Date.now() - at.getTime();
    if (result.kind === 'failed' && result.error_code === 'interrupted') {
      await giveBack(pool, claim, claimed);
      return;
    }
    const outcome = outcomeOf(result, Date.now());
    const step = nextStep(outcome, claimed.tries + 1, options.rules, options.random ?? Math.random);
    const tried = { claim, claimed, at, durationMs, ...shownOf(result), outcome, step };
    metrics.duration.observe(durationMs / 1_000);
    metrics.attempts.inc({ outcome: outcome.kind === 'failed' ? outcome.error_code : outcome.kind });
    if (outcome.kind === 'delivered') return markSuccess(tried);
    const notify = await options.notifier().catch((error: unknown) => {
      log.warn('webhooks cannot be disabled: nobody could be told', { error });
      return undefined;
    });
    await failures(() => markFailure(tried, notify));
  }

  /** A secret that cannot be opened is a failed try like others, or it would be claimed again without end. */
  async function postSigned(at: Date, claimed: Claimed): Promise<TryResult> {
    const { delivery_id: id, webhook_id, url, body } = claimed;
    let secrets: string[];
    try {
      secrets = claimed.secrets.map((sealed) => openSecret(options.keys, webhook_id, sealed));
    } catch (error) {
      log.error('secret of a webhook cannot be opened: see WEBHOOK_KEYS', { webhook_id, error });
      return { kind: 'failed', error_code: 'secret_unreadable' };
    }
    const headers = headersOf(id, at, body, secrets);
    return options.post({ url, headers, body, signal: aborting.signal });
  }

  /** @param notify without it nothing is disabled: a later try will find the same, and then the staff is told */
  async function markFailure(tried: Tried, notify: Notify | undefined): Promise<void> {
    const { outcome, step, claimed } = tried;
    const disabled = await markFailed(
      pool,
      tried,
      (health) => {
        const judged = nextHealth(health, outcome, step, Date.now(), options.rules);
        return notify === undefined ? { ...judged, disabled: undefined } : judged;
      },
      async (client, reason) => notify?.(client, claimed, reason),
    );
    const { webhook_id, tenant_id, delivery_id, attempt } = claimed;
    if (step.state === 'failed') log.warn('webhook delivery given up', { webhook_id, delivery_id, attempt });
    if (disabled === undefined) return;
    metrics.disabled.inc({ reason: disabled });
    log.warn('webhook disabled', { webhook_id, tenant_id, reason: disabled });
  }

  const running = run();

  return {
    wake,
    /** What is under way has a moment to end; the rest is given back. */
    async stop(): Promise<void> {
      isStopping = true;
      wakeUp();
      await running;
      const timer = setTimeout(() => aborting.abort(), stopWithinMs);
      await Promise.allSettled(underWay);
      clearTimeout(timer);
    },
  };
}

function shownOf(result: TryResult): { status: number | null; answer: string | null } {
  if (result.kind === 'failed') return { status: null, answer: null };
  return { status: result.status, answer: result.answer };
}

/** Runs so many at a time, the others in the order in which they came. */
function createGate(free: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let places = free;
  return async (work) => {
    if (places === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else places -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) places += 1;
      else next();
    }
  };
}
