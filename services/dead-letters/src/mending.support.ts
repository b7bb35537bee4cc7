/** For tests: letters with lines or replay topics behind them, a group that handles them, and the API as its callers see it. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OutgoingRecord } from '@ragline/streams/producer';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { type HttpRequest, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import { writerSchemas } from './edit-schema.ts';
import { addLetterRoutes } from './http.ts';
import { addActionRoutes } from './http-actions.ts';
import { addBatchRoutes } from './http-batches.ts';
import { addParkedRoutes } from './http-parked.ts';
import { filterFrom } from './letter-filter.ts';
import { maskOf, sensitiveHeaders } from './letter-view.ts';
import { aGroup, aLetter, openLetters } from './letters.support.ts';
import { NoTopic } from './replay-producer.ts';
import { startReplaySender } from './replay-sender.ts';
import { system } from './scope.ts';

export const quiet = createLogger({ service: 'test', level: 'error' });

export type Mending = Awaited<ReturnType<typeof openMending>>;
export type Sent = { topic: string; record: OutgoingRecord };
export type Caller = Awaited<ReturnType<Mending['caller']>>;

export type MendingOptions = { isEditing?: boolean; foreignReplayTopics?: ReadonlyMap<string, string> };

/** The API on real Postgres and registry; what is sent to Kafka is in `sent`. */
export async function openMending({
  isEditing = true,
  foreignReplayTopics = new Map(),
}: MendingOptions = {}) {
  const scene = await openLetters();
  const { pool, encoder, store } = scene;
  const tokens = await startTokens();
  const sent: Sent[] = [];
  const kafka = { isAway: false, missing: new Set<string>() };
  const producer = {
    exists: async (topic: string) => !kafka.missing.has(topic),
    async send(topic: string, records: readonly OutgoingRecord[]) {
      if (kafka.isAway) throw new Error('Kafka is away');
      if (kafka.missing.has(topic)) throw new NoTopic(topic);
      for (const record of records) sent.push({ topic, record });
    },
  };
  const sweepEveryMs = 50;
  const startSender = () =>
    startReplaySender({ pool, producer, foreignReplayTopics, encoder, log: quiet, sweepEveryMs });
  const sender = startSender();
  const mask = maskOf(sensitiveHeaders);
  const api = createApi({ title: 'test', authentication: createAuthentication({ ...tokens.settings }) });
  const idempotency = createIdempotencyStore(pool, 'dead_letters');
  const schemas = writerSchemas({ registryUrl: stack().registryUrl });
  const acting = { pool, encoder, foreignReplayTopics, log: quiet, sender };
  addBatchRoutes(api, { pool, idempotency, foreignReplayTopics });
  addParkedRoutes(api, { pool });
  addActionRoutes(api, { ...acting, schemas, mask, isEditing });
  addLetterRoutes({ api, store, mask });
  const metrics = createMetrics({ service: 'test' });
  const { app } = createApp({ service: 'dead-letters', log: quiet, metrics, health: createHealth(), api });
  const server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log: quiet });
  const http = httpTo(`http://127.0.0.1:${server.port}`);

  return {
    ...scene,
    sent,
    kafka,
    acting,
    /** Somebody who calls: an operator unless a tenant is named, whose administrator it is then. */
    async caller(tenant_id?: string) {
      const roles = [tenant_id === undefined ? 'operator' : 'admin'];
      const user_id = randomUUID();
      const token = await tokens.token({ roles, user_id, ...(tenant_id !== undefined && { tenant_id }) });
      const call = (method: string, path: string, request: HttpRequest = {}) =>
        http(method, `/v1${path}`, { token, ...request });
      return {
        user_id,
        get: (path: string) => call('GET', path),
        post: (path: string, body?: unknown, headers: Record<string, string> = {}) =>
          call('POST', path, { headers, ...(body !== undefined && { body }) }),
        /** A PATCH with a body that is sent as it is. */
        raw: (path: string, raw: string, headers: Record<string, string>) =>
          call('PATCH', path, { raw, headers: { 'content-type': 'application/json', ...headers } }),
        patch: (id: string, body: unknown, version: number | undefined) =>
          call('PATCH', `/dead-letters/${id}`, {
            body,
            ...(version !== undefined && { headers: { 'if-match': `"${version}"` } }),
          }),
      };
    },
    letter: async (id: string) => {
      const whole = await store.get(system, id);
      if (whole === undefined) throw new Error(`No letter ${id}`);
      return whole.letter;
    },
    async close(): Promise<void> {
      await server.close();
      await sender.stop();
      await tokens.stop();
      await scene.close();
    },
  };
}

/** An order event of the tenant, as JSON. */
export function anEvent(tenant_id: string = randomUUIDv7()) {
  const event = JSON.parse(JSON.stringify(anOrderEvent()));
  const ids = {
    event_id: randomUUIDv7(),
    tenant_id,
    order: { ...event.order, id: randomUUIDv7(), tenant_id },
  };
  return { ...event, ...ids };
}

type Event = ReturnType<typeof anEvent>;

/** A letter of a group without order, kept. */
export async function unorderedLetter(
  scene: Mending,
  {
    group = aGroup(),
    event = anEvent(),
    headers = {},
  }: { group?: string; event?: Event; headers?: Record<string, string> } = {},
): Promise<{ id: string; group: string; event: Event }> {
  const said = { 'inbox-id': event.event_id, ...headersOf(group, event), ...headers };
  await scene.keep([await letterOf(scene, said, event)]);
  return { id: await idOf(scene, group, event.event_id), group, event };
}

/** A line of a key with a dead head, which has a letter, and followers, which have none. */
export async function parkedLetter(
  scene: Mending,
  {
    group = aGroup(),
    event = anEvent(),
    followers = 0,
  }: { group?: string; event?: Event; followers?: number } = {},
) {
  const key = Buffer.from(event.order.id);
  const value = await bytesOf(scene, event);
  const at = await assign(scene, group);
  const headers = JSON.stringify({ id: { t: event.event_id }, tenant_id: { t: event.tenant_id } });
  const { rows } = await scene.owner.query(
    `SELECT line_id FROM streams.park($1, 'orders.v1', 0, $2, 10, $3, $4, $5, $5, $6, $7, 0, now(), 5, NULL, false, '{"code":"boom"}')`,
    [group, at, key, event.tenant_id, event.event_id, value, headers],
  );
  const line = Number(rows[0].line_id);
  for (let n = 1; n <= followers; n++) {
    await scene.owner.query(
      `SELECT streams.append($1, 'orders.v1', 0, $2, $3, ARRAY[$4::bigint], ARRAY[$5], ARRAY[$6], ARRAY[$6], ARRAY[$7::bytea],
                             ARRAY[$8::jsonb], ARRAY[0::bigint], 1000, 1000000, NULL)`,
      [group, at, key, 10 + n, event.tenant_id, randomUUIDv7(), value, headers],
    );
  }
  const record = await headRecord(scene, line);
  const said = {
    'parked-record': String(record),
    deaths: '1',
    'inbox-id': event.event_id,
    'original-partition': '0',
    'original-offset': '10',
    ...headersOf(group, event),
  };
  await scene.keep([await letterOf(scene, said, event)]);
  return { id: await idOf(scene, group, event.event_id), group, event, line, record };
}

async function letterOf(scene: Mending, headers: Record<string, string>, event: Event) {
  const value = await bytesOf(scene, event);
  const { schema_id, name } = await scene.codec.decode(value);
  const reading = { decoded: event, decode_error: null, schema_id, name };
  return aLetter(headers, { key: Buffer.from(event.order.id), value, reading });
}

export async function bytesOf(scene: Mending, event: Event): Promise<Buffer> {
  return (await scene.codec.encoder('order_v1'))(event);
}

function headersOf(group: string, event: Event): Record<string, string> {
  const { event_id: id, event_type, tenant_id, user_id } = event;
  return { 'original-group': group, id, event_type, tenant_id, user_id };
}

async function idOf(scene: Mending, group: string, eventId: string): Promise<string> {
  const page = await scene.store.list(system, filterFrom({ group }), { before: undefined, limit: 200 });
  const found = page.rows.find(({ event_id }) => event_id === eventId);
  if (found === undefined) throw new Error(`The letter of ${eventId} was not kept`);
  return found.id;
}

async function assign(scene: Mending, group: string): Promise<number> {
  const { rows } = await scene.owner.query(
    `SELECT epoch FROM streams.assign($1, 'orders.v1', 0, 'test') LIMIT 1`,
    [group],
  );
  return Number(rows[0].epoch);
}

async function headRecord(scene: Mending, line: number): Promise<number> {
  const { rows } = await scene.owner.query(
    'SELECT id FROM streams.parked_record WHERE parked_id = $1 ORDER BY "offset" LIMIT 1',
    [line],
  );
  return Number(rows[0].id);
}

/** A line's head as its owner would try it; undefined when nothing is due. */
export async function dueHead(scene: Mending, line: number) {
  const { rows } = await scene.owner.query(
    `SELECT r.id, r.inbox_id, r.event_id, r.value, r.headers, k.attempt, k.group_id, r.deaths
       FROM streams.parked_key k JOIN streams.parked_record r ON r.parked_id = k.id
      WHERE k.id = $1 AND k.not_before <= clock_timestamp() ORDER BY r."offset" LIMIT 1`,
    [line],
  );
  return rows[0];
}

/**
 * Tries the head of a line that is due, as its owner does: it leaves, or is dead once more.
 *
 * @param during what happens while the attempt's transaction is open
 */
export async function tryHead(
  scene: Mending,
  line: number,
  outcome: 'handled' | 'failed',
  during: () => Promise<void> = async () => {},
): Promise<'handled' | 'failed' | 'nothing'> {
  const head = await dueHead(scene, line);
  if (head === undefined) return 'nothing';
  const { group_id: group, id, inbox_id, attempt } = head;
  const epoch = await assign(scene, group);
  const client = await scene.owner.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query(
      `SELECT streams.attempt($1, 'orders.v1', 0, $2, $3, $4, $5, $6, ARRAY[$5]) AS fresh`,
      [group, epoch, id, line, inbox_id, attempt],
    );
    await during();
    if (rows[0].fresh === null) {
      await client.query('ROLLBACK');
      return 'nothing';
    }
    if (outcome === 'handled') {
      await client.query('SELECT streams.leave($1, $2, $3, $4)', [group, id, line, inbox_id]);
      await client.query('COMMIT');
      return 'handled';
    }
    await client.query('ROLLBACK');
    await client.query(
      `SELECT streams.book_failure($1, 'orders.v1', 0, $2, $3, $4, $5, $6, NULL, false, false, $7)`,
      [group, epoch, id, line, inbox_id, attempt, failure(attempt + 1)],
    );
    return 'failed';
  } finally {
    client.release();
  }
}

const failure = (attempt: number) =>
  JSON.stringify({
    code: 'handler_failed',
    class: 'Error',
    message: 'once more',
    stack: '',
    attempt,
    not_before: new Date().toISOString(),
    failed_at: new Date().toISOString(),
  });

/** Marks the id as a group does that has handled it. */
export async function handleElsewhere(scene: Mending, group: string, inboxId: string): Promise<void> {
  await scene.owner.query(
    `INSERT INTO streams.inbox (group_id, inbox_id, outcome) VALUES ($1, $2, 'handled')`,
    [group, inboxId],
  );
}

export async function inboxOf(scene: Mending, group: string): Promise<Record<string, string>> {
  const { rows } = await scene.owner.query(
    'SELECT inbox_id, outcome FROM streams.inbox WHERE group_id = $1',
    [group],
  );
  return Object.fromEntries(rows.map(({ inbox_id, outcome }) => [inbox_id, outcome]));
}
