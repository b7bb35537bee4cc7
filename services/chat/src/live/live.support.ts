/** For tests: the chat API on a port of its own, over a database and topics of its own, and a worker to be told what to say. */

import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics, type Metrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { createKafka } from '@ragline/streams/kafka-client';
import { makeTopics } from '@ragline/streams/make-topics';
import { startProducer } from '@ragline/streams/producer';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { type Authentication, createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { eventually } from '../../../../tests/support/eventually.ts';
import { httpTo } from '../../../../tests/support/http.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { startTokens, type TestClaims } from '../../../../tests/support/tokens.ts';
import { addRoutes } from '../http.ts';
import { conversationStore } from '../turn/conversations.ts';
import { createPublisher } from '../turn/events.ts';
import { createTurnRequests } from '../turn/requests.ts';
import { turnStore } from '../turn/store.ts';
import { type Live, type LiveOptions, startLive } from './live.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export type LiveScene = Awaited<ReturnType<typeof openLiveScene>>;
export type TestUser = { tenant_id: string; user_id: string; roles: string[]; token: string };

type Api = ReturnType<typeof createApi>;
type More = { api: Api; live: Live; pool: Pool; authentication: Authentication };

/** @param addMore routes besides those of conversations */
export async function openLiveScene(
  changes: Partial<LiveOptions> = {},
  addMore: (parts: More) => void = () => {},
) {
  const { kafka: access, registryUrl } = stack();
  const id = randomUUIDv7();
  const topics = { events: `test-chat-events-${id}`, revocations: `test-chat-revocations-${id}` };
  const kafka = createKafka({ ...access, clientId: 'test', log: quiet });
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(admin, [
    { topic: topics.events, numPartitions: 12 },
    { topic: topics.revocations, numPartitions: 1 },
  ]);
  const database = await scratchDatabase();
  const pool = poolOf('ragline_chat', 8, database.name);
  const codec = createCodec({ registryUrl });
  const tokens = await startTokens();
  const authentication = createAuthentication(tokens.settings);
  const producer = await startProducer({ kafka, log: quiet });
  const publisher = await createPublisher({ producer, codec, topic: topics.events, gatherMs: 0 });
  const requests = await createTurnRequests(codec, { openTurnsMax: 50 });
  const conversations = conversationStore(pool);
  const store = turnStore(pool);
  const stops: (() => Promise<void>)[] = [];

  /** One more instance of the API. */
  async function instance(
    own: Partial<LiveOptions> = {},
  ): Promise<{ origin: string; live: Live; metrics: Metrics }> {
    const health = createHealth();
    const metrics = createMetrics({ service: 'test' });
    const live = startLive({
      ...{ pool, kafka: access, codec, authentication, requests, conversations, topics, health },
      clientId: `test-${randomUUIDv7()}`,
      cursorKeys: '1:a-secret-of-the-tests',
      identityUrl: tokens.jwks.jwksUrl,
      metrics,
      allowedOrigins: ['http://shop.example'],
      budgets: { tenantTokens: 0, userTokens: 0 },
      rateLimits: true,
      quotas: { perUser: 100, perTenant: 5_000 },
      answerWithinMs: 10_000,
      log: quiet,
      ...changes,
      ...own,
    });
    const api = createApi({ title: 'test', authentication });
    addRoutes(api, { pool, conversations, requests, ...live });
    addMore({ api, live, pool, authentication });
    const { app } = createApp({ service: 'test', log: quiet, metrics, health, api });
    const server = await startServer({
      ...{ handler: app, port: 0, host: '127.0.0.1', log: quiet, drainMs: 500 },
      onUpgrade: live.upgrade,
    });
    stops.push(async () => {
      await live.stop();
      await server.close();
    });
    await eventually(async () => (await health.ready()).status === 'ready', { withinMs: 15_000 });
    return { origin: `http://127.0.0.1:${server.port}`, live, metrics };
  }

  const { origin, live } = await instance();

  return {
    ...{ origin, live, instance, pool, conversations, requests, store, publisher, producer, codec, topics },
    http: httpTo(origin),
    async aUser(claims: TestClaims = {}): Promise<TestUser> {
      const who = { tenant_id: randomUUIDv7(), user_id: randomUUIDv7(), roles: ['customer'] };
      const { tenant_id = who.tenant_id, user_id = who.user_id } = claims;
      return {
        ...who,
        tenant_id,
        user_id,
        token: await tokens.token({ ...claims, ...who, tenant_id, user_id }),
      };
    },
    open: async (who: TestUser): Promise<string> =>
      (await inTenant(pool, who.tenant_id, (client) => conversations.open(client, who))).id,
    /** Claims the conversation's open turn as a worker does, once it has been asked for. */
    async work(who: TestUser, conversationId: string) {
      const turnId = await eventually(async () => {
        const { rows } = await inTenant(pool, who.tenant_id, (client) =>
          client.query<{ id: string }>(
            "SELECT id FROM chat.turn WHERE conversation_id = $1 AND state IN ('requested', 'running') ORDER BY id LIMIT 1",
            [conversationId],
          ),
        );
        return rows[0]?.id ?? false;
      });
      if (turnId === false) throw new Error('Nothing was asked');
      const claim = await store.claim(who.tenant_id, turnId, 'test');
      if (claim.kind !== 'claimed') throw new Error(`The turn is ${claim.kind}`);
      const { turn } = claim;
      const { signal } = new AbortController();
      const stream = publisher.open(turn, signal);
      let content = '';
      return {
        turn,
        stream,
        async say(...texts: string[]): Promise<void> {
          for (const text of texts) {
            // The end has it whole, and has to fit into a record; no answer of a real worker is longer.
            content = (content + text).slice(0, 60_000);
            stream.text(text);
            await stream.flush();
          }
        },
        /** Keeps the answer, and tells the end unless it is to be kept back. */
        async finish({ isTold = true, usage = { input_tokens: 10, output_tokens: 5 } } = {}): Promise<void> {
          await stream.flush();
          const sequence = stream.nextSequence();
          const message = await inTenant(pool, who.tenant_id, async (client) => {
            await live.budgets.spend(client, turn, usage);
            return store.finish(client, turn, {
              ...{ content, citations: [], approval_id: null, model: 'test', prompt_hash: null },
              ...{ usage, latency: {}, context: null, state: 'completed', error_code: null, sequence },
            });
          });
          if (isTold)
            await publisher.end(turn, sequence, { event_type: 'message_completed', message }, signal);
        },
      };
    },
    /** As retention does: whatever was told is gone. */
    async forget(): Promise<void> {
      const ends = await admin.fetchTopicOffsets(topics.events);
      const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
      await admin.deleteTopicRecords({ topic: topics.events, partitions });
    },
    async revoke(value: Buffer, key: string): Promise<void> {
      await producer.send(topics.revocations, [{ key, value, headers: {} }]);
    },
    async close(): Promise<void> {
      for (const stop of stops.reverse()) await stop();
      await producer.stop();
      await admin.deleteTopics({ topics: Object.values(topics) });
      await admin.disconnect();
      await tokens.stop();
      await pool.end();
      await database.drop();
    },
  };
}

export type Told = { id: string | undefined; event: string; data: Record<string, unknown> };

/** A stream of events, read as they come. */
export async function readEvents(
  url: string,
  { token, headers = {}, body }: { token?: string; headers?: Record<string, string>; body?: unknown } = {},
) {
  const aborter = new AbortController();
  const response = await fetch(url, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: {
      accept: 'text/event-stream',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    signal: aborter.signal,
  });
  const told: Told[] = [];
  const ended = (async () => {
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const frames = text.split('\n\n');
      text = frames.pop() ?? '';
      for (const frame of frames) {
        const event = toldIn(frame);
        if (event !== undefined) told.push(event);
      }
    }
  })();
  ended.catch(() => {});
  return {
    status: response.status,
    headers: response.headers,
    told,
    /** Without the cursors in between. */
    events: (): Told[] => told.filter(({ event }) => event !== 'cursor'),
    text: (): string => told.map(({ event, data }) => (event === 'message_delta' ? data.text : '')).join(''),
    ended,
    close: () => aborter.abort(),
  };
}

function toldIn(frame: string): Told | undefined {
  const fields = new Map(
    frame.split('\n').map((line): [string, string] => {
      const at = line.indexOf(': ');
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
  const event = fields.get('event');
  if (event === undefined) return undefined;
  return { id: fields.get('id'), event, data: JSON.parse(fields.get('data') ?? 'null') };
}
