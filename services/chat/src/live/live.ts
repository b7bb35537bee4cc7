/** The reading side of one instance, put together: the feed, who may read it, and questions with their answers. */
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import type { Pool } from '@ragline/postgres/pool';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Codec } from '@ragline/schemas/codec';
import type { TailStatus } from '@ragline/streams/tail';
import type { KafkaAccess } from '@ragline/streams/tail-client';
import type { Authentication } from '@ragline/web/auth';
import { createCredentials } from '@ragline/web/credentials';
import { createAnswers } from '../answers.ts';
import { type BudgetLimits, createBudgets } from '../budgets.ts';
import { eventsCookie } from '../http-events.ts';
import type { ConversationStore } from '../turn/conversations.ts';
import type { TurnRequests } from '../turn/requests.ts';
import { type Quotas, startAdmission } from './admission.ts';
import { startFeed } from './feed.ts';
import { createSockets } from './sockets.ts';

export type Live = ReturnType<typeof startLive>;

export type LiveOptions = {
  pool: Pool;
  kafka: KafkaAccess;
  clientId: string;
  codec: Pick<Codec, 'decode'>;
  cursorKeys: string;
  authentication: Pick<Authentication, 'verify'> & Partial<Pick<Authentication, 'isWithdrawn'>>;
  identityUrl: string;
  allowedOrigins: string[];
  requests: TurnRequests;
  conversations: ConversationStore;
  budgets: BudgetLimits;
  /** Off: no budgets, and as many readers as come. */
  rateLimits: boolean;
  quotas: Quotas;
  answerWithinMs: number;
  health: Health;
  log: Logger;
  metrics?: Metrics;
  heartbeatMs?: number;
  /** What may wait for one reader. */
  bytesMax?: number;
  /** Names of a test's own. */
  topics?: { events: string; revocations: string };
};

const noQuotas: Quotas = { perUser: Number.POSITIVE_INFINITY, perTenant: Number.POSITIVE_INFINITY };
const fetchAgeMaxMs = 5_000;
const behindMaxMs = 5_000;

/** Begins to read at once; health check `live` says whether it is at the end. */
export function startLive(options: LiveOptions) {
  const { pool, rateLimits, health, topics } = options;
  const quotas = rateLimits ? options.quotas : noQuotas;
  const { resumesPerUser: resumesOfUserMax } = quotas;
  const feed = startFeed({ ...options, resumesOfUserMax, ...(topics && { topic: topics.events }) });
  const { isWithdrawn } = options.authentication;
  const admission = startAdmission({
    ...options,
    quotas,
    isWithdrawn,
    ...(topics && { topic: topics.revocations }),
  });
  const limits = rateLimits ? options.budgets : { tenantTokens: 0, userTokens: 0 };
  const budgets = createBudgets(limits);
  const credentials = createCredentials({ ...options, revocations: admission, cookieName: eventsCookie });
  const idempotency = createIdempotencyStore(pool, 'chat');
  const answers = createAnswers({ ...options, feed, admission, idempotency, budgets });

  const requireReady = () => {
    for (const it of [feed, admission]) requireCurrent(it.status());
  };
  health.check('live', requireReady);
  const sockets = createSockets({
    ...{ ...options, feed, answers, admission, credentials },
    heartbeatMs: options.heartbeatMs ?? 15_000,
    flood: rateLimits ? { perSecond: 10, burst: 200 } : undefined,
    isReady() {
      try {
        requireReady();
        return true;
      } catch {
        return false;
      }
    },
  });

  let stopped: Promise<void> | undefined;

  return {
    feed,
    admission,
    answers,
    budgets,
    idempotency,
    credentials,
    upgrade: sockets.upgrade,
    /** Ends what is read here, so that readers go to another instance. */
    stop(): Promise<void> {
      stopped ??= (async () => {
        await sockets.stop();
        await feed.stop();
        await admission.stop();
      })();
      return stopped;
    },
  };
}

function requireCurrent({ isCaughtUp, fetchedAt, behindSince }: TailStatus): void {
  if (!isCaughtUp) throw new Error('reading up to the end');
  if (Date.now() - fetchedAt > fetchAgeMaxMs) throw new Error('no answer from Kafka');
  if (behindSince !== undefined && Date.now() - behindSince > behindMaxMs) throw new Error('behind the end');
}
