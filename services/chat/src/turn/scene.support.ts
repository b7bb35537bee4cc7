/** For tests: conversations in a database of the test's own, workers that can die, and a reader of what they tell. */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import type { ChatEvent, ChatRequestEvent } from '@ragline/schemas/types.generated';
import { claim } from '@ragline/streams/inbox';
import type { OutgoingRecord, Producer } from '@ragline/streams/producer';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Once } from '@ragline/streams/task';
import pg from 'pg';
import { stack } from '../../../../tests/support/stack.ts';
import type { Message } from '../domain.ts';
import type { Model } from '../model/model.ts';
import { promptOf } from '../model/prompts.ts';
import type { Retriever } from '../retrieval/retrieve.ts';
import type { ExecuteApproval } from '../tools/approvals.ts';
import type { Tools } from './answer.ts';
import { conversationStore } from './conversations.ts';
import { createPublisher } from './events.ts';
import { type Failpoint, type FailpointName, noFailpoint } from './failpoint.ts';
import { turnMetrics } from './metrics.ts';
import { createTurnRequests, type Who } from './requests.ts';
import { createRunning } from './running.ts';
import { turnStore } from './store.ts';
import { aChunk, aModel, saying } from './turn.support.ts';
import { createWorker, type WorkerParts } from './worker.ts';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export const limits = { tokensMax: 8_000, answerTokens: 500, knowledgeTokens: 1_500, historyTokens: 2_000 };

export const testPrompt = promptOf('assistant', '{{today}}\n{{knowledge}}');

export type TurnScene = Awaited<ReturnType<typeof openTurnScene>>;
export type Behaviour = {
  model?: Model;
  retriever?: Retriever;
  tools?: Tools;
  execute?: ExecuteApproval;
  /** Where the worker dies: at which passing of the named place, the first if not given. */
  diesAt?: FailpointName;
  passing?: number;
  deadlineMs?: number;
  parts?: Partial<WorkerParts>;
};

export async function openTurnScene() {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_chat', 8, database.name);
  const owner = new pg.Pool({ connectionString: database.url, max: 2 });
  owner.on('error', () => {});
  const codec = createCodec({ registryUrl: stack().registryUrl });
  const requests = await createTurnRequests(codec, { openTurnsMax: 20 });
  const conversations = conversationStore(pool);
  const store = turnStore(pool);
  const groupId = `test-${randomUUIDv7()}`;
  // All that any worker has sent, in the order in which it was stored.
  const sent: OutgoingRecord[] = [];

  /** The request for the turn as the outbox has it, also of a transaction that is open. */
  async function recordOf(who: Who, turnId: string, within?: Client): Promise<ChatRequestEvent> {
    const read = (client: Client) =>
      client.query<{ payload: Buffer }>(
        'SELECT payload FROM chat.outbox WHERE tenant_id = $1 ORDER BY created_at, id',
        [who.tenant_id],
      );
    const { rows } = await (within === undefined ? inTenant(pool, who.tenant_id, read) : read(within));
    const events = await Promise.all(
      rows.map(async ({ payload }) => requestFrom((await codec.decode(payload)).value)),
    );
    const event = events.findLast((it) => it.turn_id === turnId);
    if (event === undefined) throw new Error(`Nothing asks for the turn ${turnId}`);
    return event;
  }

  return {
    database: database.name,
    /** As the owner of the database, who sees everything. */
    owner,
    pool,
    store,
    codec,
    requests,
    conversations,
    sent,
    eventOf,
    recordOf,
    aUser: (): Who => ({ tenant_id: randomUUIDv7(), user_id: randomUUIDv7(), roles: ['customer'] }),
    inTenant: <T>(who: Who, work: (client: Client) => Promise<T>) => inTenant(pool, who.tenant_id, work),
    async open(who: Who): Promise<string> {
      return (await inTenant(pool, who.tenant_id, (client) => conversations.open(client, who))).id;
    },
    /** Asks, and gives the record as the group would get it. */
    async ask(who: Who, conversationId: string, content = 'Are you open on Sunday?') {
      const asked = await inTenant(pool, who.tenant_id, (client) =>
        requests.requestTurn(client, { who, conversation_id: conversationId, content }),
      );
      return { ...asked, record: await recordOf(who, asked.turn_id) };
    },
    async decide(who: Who, conversationId: string, approvalId = randomUUIDv7()) {
      const asked = await inTenant(pool, who.tenant_id, (client) =>
        requests.requestApproval(client, {
          ...who,
          conversation_id: conversationId,
          approval_id: approvalId,
        }),
      );
      return { ...asked, answer_id: asked.message_id, record: await recordOf(who, asked.turn_id) };
    },
    stop: (who: Who, conversationId: string) =>
      inTenant(pool, who.tenant_id, (client) =>
        requests.requestStop(client, { who, conversation_id: conversationId }),
      ),
    message: async (who: Who, id: string): Promise<Message> => {
      const found = await conversations.message(who, id);
      if (found === undefined) throw new Error(`No message ${id}`);
      return found;
    },
    /** A worker with its own connections to everything, which it loses when it dies. */
    async worker(behaviour: Behaviour = {}) {
      const life = aLife(behaviour);
      const producer: Producer = {
        async send(_topic, records) {
          await life.breathe();
          sent.push(...records);
        },
        async stop() {},
      };
      const running = createRunning({ deadlineMs: behaviour.deadlineMs ?? 30_000 });
      const lively = livePool(pool, life);
      const claiming = turnStore(lively);
      let claims = 0;
      const worker = createWorker({
        model: behaviour.model ?? aModel(() => saying('We are open ', 'until ten [1]', '.')),
        retriever: behaviour.retriever ?? aRetriever(),
        tools: behaviour.tools ?? noTools,
        prompt: testPrompt,
        limits,
        failpoint: life.failpoint,
        execute: behaviour.execute ?? (async () => ({ kind: 'rejected' })),
        pool: lively,
        store: {
          ...claiming,
          claim(...of) {
            claims += 1;
            return claiming.claim(...of);
          },
        },
        publisher: await createPublisher({ producer, codec, gatherMs: 0 }),
        running,
        metrics: turnMetrics(createMetrics({ service: 'test' }), running.count),
        name: `test-${randomUUIDv7()}`,
        log: quiet,
        ...behaviour.parts,
      });
      const aborter = new AbortController();
      const once: (eventId: string) => Once = (eventId) => (effect) =>
        inTransaction(lively, async (client) => {
          const fresh = await claim(client, groupId, [eventId]);
          return fresh.has(eventId) ? effect(client) : undefined;
        });
      return {
        running,
        /** How often it has tried to make a turn its own. */
        claims: () => claims,
        /** The worker's end, seen from outside: resolves when it dies. */
        died: life.died,
        abort: () => aborter.abort(),
        handle: (value: ChatRequestEvent): Promise<string> =>
          worker.handle(eventOf(value), { signal: aborter.signal, once: once(value.event_id) }),
      };
    },
    /** What a reader of the conversation has in the end, by the rules of docs/decisions/0117. */
    async read(conversationId: string): Promise<Seen> {
      const seen: ChatEvent[] = [];
      for (const { value } of sent) {
        const event = chatEventFrom(value === null ? undefined : (await codec.decode(value)).value);
        if (event.conversation_id === conversationId) seen.push(event);
      }
      return readerOf(seen);
    },
    async close(): Promise<void> {
      await pool.end();
      await owner.end();
      await database.drop();
    },
  };
}

export type Seen = {
  /** By turn, in the order in which they began. */
  turns: { turn_id: string; text: string; ends: string[]; restarts: number; events: ChatEvent[] }[];
};

/** Drops what an older generation says, and what was said before; throws the text away at a restart. */
export function readerOf(events: readonly ChatEvent[]): Seen {
  const turns = new Map<string, Seen['turns'][number] & { generation: number; sequence: number }>();
  for (const event of events) {
    const fresh = {
      turn_id: event.turn_id,
      text: '',
      ends: [],
      restarts: 0,
      events: [],
      generation: 0,
      sequence: 0,
    };
    const turn = turns.get(event.turn_id) ?? fresh;
    turns.set(event.turn_id, turn);
    const isOld =
      event.generation < turn.generation ||
      (event.generation === turn.generation && event.sequence <= turn.sequence);
    if (isOld) continue;
    if (event.generation > turn.generation) turn.text = '';
    turn.generation = event.generation;
    turn.sequence = event.sequence;
    turn.events.push(event);
    if (event.event_type === 'message_delta') turn.text += event.text ?? '';
    if (event.event_type === 'message_restarted') turn.restarts += 1;
    if (/^message_(completed|failed|stopped)$/.test(event.event_type)) turn.ends.push(event.event_type);
  }
  return { turns: [...turns.values()] };
}

export function aRetriever(chunks = [aChunk()]): Retriever {
  return {
    retrieve: async () => ({
      chunks,
      cached: false,
      path: 'exact',
      candidates: chunks.length,
      timings_ms: {},
    }),
  };
}

export const noTools: Tools = {
  specs: async () => [],
  call: async () => ({ ok: false, code: 'unknown_tool', content: '{}', summary: 'unknown_tool' }),
};

/** Once it is over, whatever the worker asks of anybody is never answered: as of a process that was killed. */
function aLife({ diesAt, passing = 1 }: Behaviour) {
  const { promise: died, resolve } = Promise.withResolvers<void>();
  const never = new Promise<never>(() => {});
  let isOver = false;
  let passed = 0;
  const breathe = async () => (isOver ? never : undefined);
  const failpoint: Failpoint = async (name) => {
    if (name === diesAt) passed += 1;
    if (name === diesAt && passed === passing) {
      isOver = true;
      resolve();
    }
    await breathe();
  };
  return { died, breathe, failpoint: diesAt === undefined ? noFailpoint : failpoint };
}

function livePool(pool: Pool, life: { breathe(): Promise<undefined> }): Pool {
  return new Proxy(pool, {
    get(target, name, receiver) {
      if (name !== 'connect') return Reflect.get(target, name, receiver);
      return async () => {
        await life.breathe();
        return target.connect();
      };
    },
  });
}

function eventOf(value: ChatRequestEvent): DecodedEvent {
  const { event_id, event_type, tenant_id, user_id, conversation_id } = value;
  return {
    schema: 'chat_request_v1',
    topic: 'chat.requests.v1',
    partition: 0,
    offset: '0',
    key: conversation_id,
    headers: {},
    event_id,
    event_type,
    tenant_id,
    user_id,
    schema_id: 1,
    timestamp: Date.now(),
    value,
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

function requestFrom(value: unknown): ChatRequestEvent {
  if (isRecord(value) && 'turn_id' in value) return value as ChatRequestEvent;
  throw new TypeError('Not a request for an answer');
}

function chatEventFrom(value: unknown): ChatEvent {
  if (isRecord(value) && 'sequence' in value) return value as ChatEvent;
  throw new TypeError('Not an event of an answer');
}
