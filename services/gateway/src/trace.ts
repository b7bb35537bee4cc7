/** The path of one event, put together from what each service knows of it. */
import type { Logger } from '@ragline/runtime/logger';
import { type Problem, type ProblemCode, problem } from '@ragline/web/problems';
import type { Json } from './openapi.ts';
import type { Instance, Upstreams } from './upstreams.ts';

type Answer = { instance: Instance; status: number; body: Json };

const withinMs = 3_000;

/**
 * Asks the writers and every notifications instance, with the caller's own token: each judges for itself what
 * the caller may see. Throws Problem `not_found`, `unauthenticated`, `forbidden`, or `unavailable` when nobody answers.
 */
export async function traceEvent(options: {
  upstreams: Upstreams;
  log: Logger;
  eventId: string;
  headers: Record<string, string>;
}): Promise<Json> {
  const { upstreams, log, eventId, headers } = options;
  const writer = upstreams.pick('orders');
  const asked = [...(writer ? [writer] : []), ...upstreams.of('notifications')];
  const missing: string[] = [];
  const letters = lettersOf(options, missing);
  const answers: Answer[] = [];
  await Promise.all(
    asked.map(async (instance) => {
      try {
        answers.push({ instance, ...(await ask(instance, `/internal/trace/${eventId}`, headers)) });
      } catch (error) {
        log.warn('trace not answered', { upstream: instance.name, error });
        missing.push(instance.name);
      }
    }),
  );
  const refused = answers.find(({ status }) => status === 401 || status === 403);
  if (refused) throw refusalOf(refused.status);
  const deadLetters = await letters;
  for (const { instance, status } of answers) {
    if (status >= 500 || status === 429) missing.push(instance.name);
  }
  const found = answers.filter(({ status }) => status === 200);
  if (found.length === 0) {
    if (answers.some(({ status }) => status === 404)) throw problem('not_found');
    throw problem('unavailable', 'No service could be asked for this event.');
  }
  return { ...compose(eventId, found, missing), dead_letters: deadLetters };
}

/** Joins the answers of the services into one document; `missing` names who could not be asked. */
export function compose(
  eventId: string,
  found: readonly { instance: Pick<Instance, 'service' | 'name'>; body: Json }[],
  missing: string[],
): Json {
  const origin = found.find(({ instance }) => instance.service === 'orders')?.body ?? null;
  const seen = found.filter(({ instance }) => instance.service === 'notifications').map(({ body }) => body);
  const first = seen.find((it) => it.topic !== undefined && it.topic !== null);
  return {
    event_id: eventId,
    origin,
    record: first ? { topic: first.topic, partition: first.partition, offset: first.offset } : null,
    groups: groupsOf(seen),
    webhooks: webhooksOf(seen),
    instances: seen.map(({ instance, received_at, sockets, sse }) => ({
      instance,
      received_at,
      sockets,
      sse,
    })),
    missing: missing.sort(),
  };
}

/** The event's dead letters, as far as the asker may see them: staff see none, and that is no refusal. */
async function lettersOf(
  {
    upstreams,
    log,
    eventId,
    headers,
  }: { upstreams: Upstreams; log: Logger; eventId: string; headers: Record<string, string> },
  missing: string[],
): Promise<Json[]> {
  const instance = upstreams.pick('dead-letters');
  if (!instance) {
    missing.push('dead-letters');
    return [];
  }
  try {
    const { status, body } = await ask(instance, `/v1/dead-letters?q=${eventId}`, headers);
    if (status >= 500 || status === 429) missing.push(instance.name);
    if (status !== 200 || !Array.isArray(body.data)) return [];
    return lettersIn(body.data, eventId);
  } catch (error) {
    log.warn('trace not answered', { upstream: instance.name, error });
    missing.push(instance.name);
    return [];
  }
}

/** Of a page of the list, the event's letters; `q` finds others that mention it. */
export function lettersIn(page: readonly unknown[], eventId: string): Json[] {
  return page
    .filter(isJson)
    .flatMap(({ id, group, state, event_id, error_code, attempt_count: attempts }) =>
      event_id === eventId ? [{ id, group, state, error_code, attempts }] : [],
    );
}

/**
 * Each group once. Every instance reads the outcome from the database, but only the one that handled the event
 * knows after how many attempts.
 */
function groupsOf(seen: readonly Json[]): Json[] {
  const groups = new Map<unknown, Json>();
  for (const { groups: told } of seen) {
    for (const group of Array.isArray(told) ? told.filter(isJson) : []) {
      const known = groups.get(group.group);
      if (known === undefined || (known.attempts ?? null) === null) groups.set(group.group, group);
    }
  }
  return [...groups.values()];
}

/** Each delivery once: every instance reads them from the database, one perhaps a moment later than another. */
function webhooksOf(seen: readonly Json[]): Json[] {
  const deliveries = new Map<unknown, Json>();
  for (const { webhooks: told } of seen) {
    for (const delivery of Array.isArray(told) ? told.filter(isJson) : []) {
      const known = deliveries.get(delivery.delivery_id);
      const isLater = Number(delivery.attempts ?? 0) >= Number(known?.attempts ?? 0);
      if (known === undefined || isLater) deliveries.set(delivery.delivery_id, delivery);
    }
  }
  return [...deliveries.values()];
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function ask(
  instance: Instance,
  path: string,
  headers: Record<string, string>,
): Promise<Omit<Answer, 'instance'>> {
  const answer = await instance.pool.request({
    path,
    method: 'GET',
    headers,
    signal: AbortSignal.timeout(withinMs),
  });
  const body: unknown = await answer.body.json().catch(() => ({}));
  return { status: answer.statusCode, body: isJson(body) ? body : {} };
}

function refusalOf(status: number): Problem {
  const code: ProblemCode = status === 401 ? 'unauthenticated' : 'forbidden';
  return problem(code);
}
