/** Messages about alerts: queued in the transaction of the alert, posted from the table, signed as Standard Webhooks say. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { Webhook } from 'standardwebhooks';
import type { AlertChange } from './alert-round.ts';
import { pauseMs } from './alert-rules.ts';
import type { Alert } from './alert-store.ts';

/** Where messages go, and the secret that signs them: `whsec_` and base64, or base64 alone. */
export type AlertTarget = { url: string; secret: string };

const postWithinMs = 10_000;
/** Longer than a post takes: what a killed process had claimed is sent by another after it. */
const claimedMs = 30_000;
const giveUpAfterMs = 24 * 3_600_000;
const postsAtOnce = 10;
const secretBytesMin = 24;

type TargetSettings = { url: string | undefined; secret: string | undefined };

/** What is wrong with the settings, as readSettings words it; empty when they are right or not set. */
export function targetFaults({ url, secret }: TargetSettings): string[] {
  if (url === undefined) return [];
  const faults: string[] = [];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) {
    faults.push('ALERT_URL must be an http or https URL');
  } else if (parsed.username !== '' || parsed.password !== '') {
    // fetch refuses such a URL, and a signature says more than a password in it.
    faults.push('ALERT_URL must not carry a login: messages are signed');
  }
  const base64 = secret?.replace(/^whsec_/, '') ?? '';
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0;
  if (!isBase64 || Buffer.from(base64, 'base64').length < secretBytesMin) {
    faults.push(`ALERT_SECRET must be set with ALERT_URL: base64 of ${secretBytesMin} bytes or more`);
  }
  return faults;
}

/** undefined where no URL is set: alerts are then rows, events and metrics only. */
export function targetFrom({ url, secret }: TargetSettings): AlertTarget | undefined {
  return url === undefined || secret === undefined ? undefined : { url, secret };
}

/**
 * Queues what the round's alerts give to say. A raised alert is told of once, as soon as it is neither silenced nor
 * acknowledged; its end is told of where its beginning was, whatever was silenced since. Alerts by a tenant's own rules
 * are not: the URL is the operator's, whom no tenant shall wake.
 */
export async function queueMessages(
  client: Client,
  raised: readonly Alert[],
  changes: readonly AlertChange[],
): Promise<void> {
  const now = Date.now();
  const loud = raised.filter(
    ({ tenant_id, silenced_until, acknowledged_at }) =>
      tenant_id === null &&
      acknowledged_at === null &&
      (silenced_until === null || silenced_until.getTime() <= now),
  );
  const cleared = changes.flatMap(({ event_type, alert }) => (event_type === 'alert_cleared' ? [alert] : []));
  await queue(client, 'alert_raised', loud);
  await queue(client, 'alert_cleared', cleared);
}

async function queue(
  client: Client,
  type: AlertChange['event_type'],
  alerts: readonly Alert[],
): Promise<void> {
  if (alerts.length === 0) return;
  await client.query(
    `INSERT INTO dead_letters.alert_delivery (alert_id, event_type, body)
     SELECT new.id, $1, new.body FROM unnest($2::uuid[], $3::text[]) AS new(id, body)
      WHERE ($1 = 'alert_cleared') = EXISTS (
        SELECT FROM dead_letters.alert_delivery d WHERE d.alert_id = new.id AND d.event_type = 'alert_raised')`,
    [type, alerts.map(({ id }) => id), alerts.map((alert) => bodyOf(type, alert))],
  );
}

/** As it is sent and signed; ids, names and numbers, nothing that customers wrote. */
function bodyOf(type: AlertChange['event_type'], alert: Alert): string {
  const { id, kind, group, tenant_id, value, threshold, raised_at, cleared_at } = alert;
  const data = { id, kind, group, tenant_id, value, threshold, raised_at, cleared_at };
  return JSON.stringify({ type, timestamp: (cleared_at ?? raised_at)?.toISOString(), data });
}

type Message = { id: string; event_type: string; body: string; attempts: number; created_at: Date };

export type SenderParts = {
  pool: Pick<Pool, 'query'>;
  target: AlertTarget;
  log: Logger;
  metrics: Metrics;
  random?: () => number;
};

/** `sendDue` posts what is due; any number of instances may: each takes messages that no other has. */
export function createSender({ pool, target, log, metrics, random = Math.random }: SenderParts) {
  const webhook = new Webhook(target.secret);
  const posts = metrics.counter(
    'ragline_dead_letters_alert_messages_total',
    'Messages about alerts by what became of a try: delivered, failed, given_up.',
    ['outcome'],
  );

  const sendOne = async (message: Message): Promise<void> => {
    const fault = await post(target.url, webhook, message);
    if (fault === undefined) {
      posts.inc({ outcome: 'delivered' });
      await finish(pool, message.id, true, null);
      return;
    }
    const isOver = Date.now() - message.created_at.getTime() > giveUpAfterMs;
    const { id, event_type, attempts } = message;
    posts.inc({ outcome: isOver ? 'given_up' : 'failed' });
    const fields = { message_id: id, event_type, attempt: attempts, error: fault };
    if (isOver) {
      log.error('alert message given up', fields);
      await finish(pool, id, false, fault);
      return;
    }
    log.warn('alert message not taken', fields);
    await pool.query(
      `UPDATE dead_letters.alert_delivery SET next_at = clock_timestamp() + make_interval(secs => $2), error = $3 WHERE id = $1`,
      [id, pauseMs(attempts, random) / 1_000, fault],
    );
  };

  return {
    /** How many were tried. */
    async sendDue(): Promise<number> {
      const messages = await claim(pool);
      await Promise.all(messages.map(sendOne));
      return messages.length;
    },
  };
}

/** An alert's messages go one after another: its end is never told before its beginning. */
async function claim(pool: Pick<Pool, 'query'>): Promise<Message[]> {
  const { rows } = await pool.query<Message>(
    `UPDATE dead_letters.alert_delivery
        SET attempts = attempts + 1, next_at = clock_timestamp() + make_interval(secs => $2)
      WHERE id IN (
        SELECT id FROM dead_letters.alert_delivery d
         WHERE finished_at IS NULL AND next_at <= clock_timestamp() AND NOT EXISTS (
           SELECT FROM dead_letters.alert_delivery before
            WHERE before.alert_id = d.alert_id AND before.finished_at IS NULL AND before.id < d.id)
         ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
      RETURNING id, event_type, body, attempts, created_at`,
    [postsAtOnce, claimedMs / 1_000],
  );
  return rows;
}

async function finish(
  pool: Pick<Pool, 'query'>,
  id: string,
  delivered: boolean,
  error: string | null,
): Promise<void> {
  await pool.query(
    `UPDATE dead_letters.alert_delivery SET finished_at = clock_timestamp(), delivered = $2, error = $3 WHERE id = $1`,
    [id, delivered, error],
  );
}

/** Undefined when it was taken (2xx), else why not. A redirect is not followed: the message is for that one address. */
async function post(url: string, webhook: Webhook, { id, body }: Message): Promise<string | undefined> {
  const at = new Date();
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': webhook.sign(id, at, body),
      },
      body,
      signal: AbortSignal.timeout(postWithinMs),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `answered ${response.status}`;
  } catch (error) {
    if (!(error instanceof Error)) return 'failed';
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return `${error.message}${cause}`.slice(0, 500);
  }
}
