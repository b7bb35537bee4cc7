/** For tests: a conversation of a tenant of its own, the registry with its tools, and orders that can be made to fail. */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { LogFields, Logger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { type FakeOrders, startFakeOrders } from '../../../../tests/support/fake-orders.ts';
import type { Model } from '../model/model.ts';
import { loadPrompts } from '../model/prompts.ts';
import type { Chunk, Retriever } from '../retrieval/retrieve.ts';
import { approvalExecution } from './approvals.ts';
import { type Decision, decideApproval } from './decide.ts';
import { delegatedTokens } from './delegated-tokens.ts';
import { createOrdersClient } from './orders-client.ts';
import { recentMessages } from './recent-messages.ts';
import { createToolRegistry } from './registry.ts';
import type { ToolCaller, ToolParts } from './tool.ts';

export const definitions = join(import.meta.dirname, 'definitions');

export type Conversation = { tenant_id: string; user_id: string; conversation_id: string };
export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** A conversation of a new tenant and user. */
export async function aConversation(pool: Pool): Promise<Conversation> {
  const it = { tenant_id: randomUUIDv7(), user_id: randomUUIDv7(), conversation_id: randomUUIDv7() };
  await inTenant(pool, it.tenant_id, (client) =>
    client.query('INSERT INTO chat.conversation (id, tenant_id, user_id) VALUES ($1, $2, $3)', [
      it.conversation_id,
      it.tenant_id,
      it.user_id,
    ]),
  );
  return it;
}

/** The customer in that conversation, at a turn of his. */
export function callerIn(conversation: Conversation, fields: Partial<ToolCaller> = {}): ToolCaller {
  return {
    ...conversation,
    roles: ['customer'],
    turn_id: randomUUIDv7(),
    generation: 1,
    signal: new AbortController().signal,
    ...fields,
  };
}

export function aChunk(fields: Partial<Chunk> = {}): Chunk {
  return {
    id: randomUUIDv7(),
    source_id: randomUUIDv7(),
    kind: 'menu',
    title: 'Pizza Margherita',
    header: 'Menu · Pizza',
    text: 'Tomato, mozzarella and basil.',
    score: 0.8,
    tokens: 12,
    category: 'pizza',
    tags: ['vegetarian'],
    allergens: ['milk', 'gluten'],
    price: 950,
    currency: 'EUR',
    available: true,
    source: '/v1/products/1',
    changed_at: '2026-01-01T00:00:00.000Z',
    ...fields,
  };
}

/** A log that a test can read; nothing is printed. */
export function aLog(): Logger & { lines: string[] } {
  const lines: string[] = [];
  const write = (event: string, fields?: LogFields) => void lines.push(`${event} ${JSON.stringify(fields)}`);
  return { lines, debug: write, info: write, warn: write, error: write };
}

/** Gives the same chunks whatever is asked. */
export function retrieverOf(chunks: readonly Chunk[]): Retriever {
  return {
    retrieve: async ({ limit = 8 }) => ({
      chunks: chunks.slice(0, limit),
      cached: false,
      path: 'exact',
      candidates: chunks.length,
      timings_ms: {},
    }),
  };
}

/** Says the same whatever is asked. */
export function modelOf(text: string): Model {
  return {
    contextTokens: 8_000,
    countTokens: (it) => it.length,
    isOffline: true,
    async *stream() {
      yield { kind: 'text', text };
      yield { kind: 'end', finish: 'stop', usage: { input_tokens: 1, output_tokens: 1 }, model: 'test' };
    },
  };
}

/** Everything that tools need: the real registry and database, fake orders. */
export async function openDesk(options: {
  pool: Pool;
  fake?: FakeOrders;
  /** Instead of the fake ones. */
  real?: { orders: string; identity: string };
  folder?: string;
  parts?: Partial<ToolParts>;
}) {
  const { pool, folder = definitions } = options;
  const fake = options.fake ?? (await startFakeOrders());
  const metrics = createMetrics({ service: 'chat' });
  const log = aLog();
  const { orders: url, identity: identityUrl } = options.real ?? { orders: fake.url, identity: fake.url };
  const tokens = delegatedTokens({ identityUrl, secret: 'test', timeoutMs: 2_000 });
  const anotherClient = () => createOrdersClient({ urls: [url], tokens, timeoutMs: 2_000, metrics });
  const orders = anotherClient();
  const parts: ToolParts = {
    pool,
    orders,
    retriever: retrieverOf([aChunk()]),
    model: modelOf('A summary [1].'),
    prompts: loadPrompts(),
    recentMessages: (...asked) => recentMessages(pool, ...asked),
    ...options.parts,
  };
  const registry = await createToolRegistry({ folder, parts, metrics, log });
  const execute = approvalExecution({ pool, orders });
  return {
    fake,
    metrics,
    log,
    orders,
    anotherClient,
    parts,
    registry,
    execute,
    /** A decision without its turn: executing is the test's. */
    decide: (it: Conversation, approval_id: string, decision: Decision = 'approve') =>
      decideApproval(
        { pool, requestApproval: async () => ({ turn_id: randomUUIDv7(), message_id: randomUUIDv7() }) },
        { who: { ...it, roles: ['customer'] }, conversation_id: it.conversation_id, approval_id, decision },
      ),
    async stop() {
      registry.stop();
      orders.stop();
      await fake.stop();
    },
  };
}
