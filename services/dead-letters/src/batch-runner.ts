/**
 * Runs batches, on every instance: each batch belongs to one of them at a time, by a lease in Postgres that its turns renew.
 * An instance that dies leaves a lease that runs out, and everything it had done: another goes on from there.
 *
 * A batch that waits, for its rate or for outcomes, gives its place back and says when it is looked at again; one that is
 * busy does so too while others wait for places, and comes behind them. So no tenant's batches hold up another's.
 */
import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { allowanceAfter, chunkMax, rateWaitMs } from './batch-plan.ts';
import { type Turn, turn } from './batch-turn.ts';
import type { Encode } from './events.ts';
import type { ReplaySender } from './replay-sender.ts';
import { inScope, system } from './scope.ts';

export type BatchRunnerOptions = {
  pool: Pool;
  encoder: () => Promise<Encode>;
  sender: Pick<ReplaySender, 'sendAll'>;
  foreignReplayTopics: ReadonlyMap<string, string>;
  log: Logger;
  /** Letters have been claimed. */
  onSent?: () => void;
  /** For tests: how long a batch whose runner died waits for the next one. */
  leaseMs?: number;
};

export type BatchRunner = {
  /** Letters have got an outcome: batches that wait for some look now. */
  hurry(): void;
  stop(): Promise<void>;
};

const lookEveryMs = 250;
// Another instance may be who takes outcomes in; one's own says so.
const idleMs = 200;
const atOnce = 8;
const atOnceOfOne = 4;
// Waiting longer than this is not worth a place.
const waitMsMax = 1_000;
const idleRoundsMax = 15;
const placeMs = 5_000;

export function startBatchRunner(options: BatchRunnerOptions): BatchRunner {
  const { pool, log, leaseMs = 6_000 } = options;
  const runner = randomUUID();
  // By batch: whose it is.
  const running = new Map<string, { tenant: string; run: Promise<void> }>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiting = new Set<AbortController>();
  const outcomes = async (ms: number) => {
    const woken = new AbortController();
    waiting.add(woken);
    await pause(ms, AbortSignal.any([signal, woken.signal]));
    waiting.delete(woken);
  };

  const look = async () => {
    while (!signal.aborted) {
      try {
        while (running.size < atOnce && !signal.aborted) {
          const tenants = [...Map.groupBy(running.values(), ({ tenant }) => tenant)];
          const full = tenants.filter(([, of]) => of.length >= atOnceOfOne).map(([tenant]) => tenant);
          const found = await acquire(pool, runner, leaseMs, full);
          if (found === undefined) break;
          const { id, rate_per_s, tenant } = found;
          const isFull = () => running.size >= atOnce;
          const run = runBatch(options, { id, rate_per_s, runner, leaseMs, isFull, outcomes, signal })
            .catch((error: unknown) => log.warn('a batch keeps its lease', { batchId: id, error }))
            .finally(() => running.delete(id));
          running.set(id, { tenant, run });
        }
      } catch (error) {
        log.warn('batches could not be looked for', { error });
      }
      await pause(lookEveryMs, signal);
    }
  };
  const looking = look();

  return {
    hurry() {
      for (const it of waiting) it.abort();
    },
    async stop() {
      stopping.abort();
      await looking;
      await Promise.all([...running.values()].map(({ run }) => run));
    },
  };
}

/** @param full tenants that have enough places; '' is the operators' */
async function acquire(pool: Pool, runner: string, leaseMs: number, full: readonly string[]) {
  return inScope(pool, system, async (client) => {
    const { rows } = await client.query<{ id: string; rate_per_s: number | null; tenant: string }>({
      name: 'dead_letters_acquire_batch',
      text: `UPDATE dead_letters.batch b SET runner = $1, lease_until = clock_timestamp() + $2 * interval '1 millisecond'
              WHERE b.id = (
                SELECT id FROM dead_letters.batch
                 WHERE (state IN ('scheduled', 'running') OR in_flight > 0) AND (state <> 'scheduled' OR starts_at <= clock_timestamp())
                   AND (lease_until IS NULL OR lease_until < clock_timestamp())
                   AND (look_at IS NULL OR look_at <= clock_timestamp())
                   AND coalesce(tenant_id::text, '') <> ALL ($3::text[])
                 ORDER BY coalesce(look_at, starts_at), id LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING b.id, b.rate_per_s, coalesce(b.tenant_id::text, '') AS tenant`,
      values: [runner, leaseMs, full],
    });
    return rows[0];
  });
}

type Run = {
  id: string;
  rate_per_s: number | null;
  runner: string;
  leaseMs: number;
  /** Whether all places are taken, so that others may be waiting. */
  isFull(): boolean;
  /** Resolves after so many milliseconds, or when letters have got an outcome. */
  outcomes(ms: number): Promise<void>;
  signal: AbortSignal;
};

async function runBatch(options: BatchRunnerOptions, run: Run): Promise<void> {
  const { pool, encoder, sender, foreignReplayTopics, log } = options;
  const { id, rate_per_s, runner, leaseMs, isFull, outcomes, signal } = run;
  const since = performance.now();
  let [allowance, countedAt, atMost, idleRounds] = [1, since, chunkMax, 0];
  for (;;) {
    const now = performance.now();
    allowance = allowanceAfter(allowance, now - countedAt, rate_per_s);
    countedAt = now;
    let done: Turn = { kind: 'idle' };
    try {
      const encode = await encoder();
      done = await inScope(pool, system, (client) =>
        turn(client, id, { runner, leaseMs, allowance, atMost, encode, foreignReplayTopics }),
      );
      atMost = Math.min(chunkMax, atMost * 2);
    } catch (error) {
      // Perhaps too much at once: fewer letters lock less and take less time.
      atMost = Math.max(1, Math.floor(atMost / 4));
      log.warn('a turn of a batch failed; it is tried again', { batchId: id, error });
      await pause(1_000, signal);
    }
    if (done.kind === 'sent') {
      allowance -= done.claimed;
      options.onSent?.();
      // Waited for, so that a slow Kafka slows the batch; held long, the sweeper looks after the claims.
      await Promise.race([sender.sendAll(done.toSend), pause(leaseMs / 3, signal)]);
    }
    if (done.kind === 'lost') return;
    if (done.kind === 'settled') return release(pool, run, 0);
    idleRounds = done.kind === 'idle' ? idleRounds + 1 : 0;
    const rateMs = rateWaitMs(allowance, rate_per_s);
    const yields = isFull() && now - since > placeMs;
    // Whoever takes it up again lets one letter go at once: so not before the rate does.
    if (signal.aborted || yields) return release(pool, run, rateMs);
    if (rateMs > waitMsMax || idleRounds > idleRoundsMax) {
      return release(pool, run, Math.max(rateMs, waitMsMax));
    }
    if (done.kind === 'idle') await outcomes(idleMs);
  }
}

async function release(
  pool: Pool,
  { id, runner }: Pick<Run, 'id' | 'runner'>,
  waitMs: number,
): Promise<void> {
  await inScope(pool, system, (client) =>
    client.query(
      `UPDATE dead_letters.batch
          SET lease_until = NULL, runner = NULL, look_at = clock_timestamp() + $3 * interval '1 millisecond'
        WHERE id = $1 AND runner = $2`,
      [id, runner, waitMs],
    ),
  );
}

/** Ends early when the service stops. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
