/** REST of tools, which an admin switches off and on, and of approvals, which a customer decides. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { uuid } from '@ragline/web/fields';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import type { Answers } from './answers.ts';
import { approvalExample, toolExample } from './examples.ts';
import { wantsStream } from './respond.ts';
import { listQuery } from './shapes.ts';
import { type Approval, findApproval } from './tools/approval-store.ts';
import { decideApproval, decisions, type RequestApproval } from './tools/decide.ts';
import { specOf, type ToolRegistry } from './tools/registry.ts';
import { shownQuote } from './tools/shapes.ts';
import { switchTool, toolSettings } from './tools/switches.ts';
import type { Tool } from './tools/tool.ts';

export type ToolHttpParts = {
  pool: Pool;
  registry: Pick<ToolRegistry, 'list'>;
  requestApproval: RequestApproval;
  /** Streams what comes of a decision to who asks for that; without it, nobody gets more than the receipt. */
  answers?: Pick<Answers, 'requireRoom' | 'follow' | 'stream'>;
};

const toolShape = z
  .object({
    name: z.string(),
    description: z.string(),
    parameters: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of its arguments.' }),
    effect: z.enum(['read', 'write']),
    roles: z.array(z.string()).meta({ description: 'For whom it may be called.' }),
    timeout_ms: z.int(),
    enabled: z.boolean(),
    updated_at: z.iso.datetime().nullable().meta({ description: 'When it was last switched.' }),
  })
  .meta({ id: 'Tool', examples: [toolExample] });

const decidedShape = z
  .object({
    approval_id: uuid,
    decision: z.enum(decisions),
    decided_at: z.iso.datetime(),
    turn_id: uuid,
    message_id: uuid.meta({ description: 'The message that will say what came of it.' }),
  })
  .meta({ id: 'ApprovalDecision' });

const approvalShape = z
  .object({
    approval_id: uuid,
    state: z.enum(['pending', 'approved', 'rejected', 'used', 'expired', 'failed']).meta({
      description: 'used: the order was placed. failed: it was approved, and nothing came of it.',
    }),
    quote: shownQuote.extend({ notes: z.string().nullable() }),
    reason: z.string().nullable().meta({ description: 'Why it expired or failed: a code.' }),
    order_id: uuid.nullable(),
    decided_at: z.iso.datetime().nullable(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'Approval', examples: [approvalExample] });

const approvalParams = z.object({
  id: uuid.toLowerCase().meta({ description: 'Of the conversation.' }),
  approval_id: uuid.toLowerCase().meta({ description: 'As `approval_required` has it.' }),
});

export function addToolRoutes(api: Api, { pool, registry, requestApproval, answers }: ToolHttpParts): void {
  api.route(
    {
      method: 'get',
      path: '/v1/tools',
      summary: 'The tools of the assistant, and whether they are on',
      tags: ['chat'],
      auth: 'staff',
      query: listQuery,
      responses: { 200: pageOf(toolShape) },
    },
    async ({ query: { limit, cursor }, principal: { tenant_id } }) => {
      const after = decodePageCursor(cursor, z.tuple([z.string()]))?.[0] ?? '';
      const settings = await toolSettings(pool, tenant_id);
      const tools = registry.list().filter(({ name }) => name > after);
      const { data, next_cursor } = toPage(tools.toSorted(byName), limit, ({ name }) => [name]);
      return {
        status: 200,
        body: { data: data.map((it) => viewOf(it, settings.get(it.name))), next_cursor },
      };
    },
  );

  api.route(
    {
      method: 'patch',
      path: '/v1/tools/{name}',
      summary: 'Switch a tool off or on',
      description: 'For the whole tenant, at once: a call that the model makes from now on is refused.',
      tags: ['chat'],
      auth: 'admin',
      params: z.object({ name: z.string().max(64).meta({ description: 'Of the tool.' }) }),
      body: z.strictObject({ enabled: z.boolean() }),
      responses: { 200: toolShape },
    },
    async ({ params: { name }, body: { enabled }, principal }) => {
      const tool = registry.list().find((it) => it.name === name);
      if (tool === undefined) throw problem('not_found');
      return { status: 200, body: viewOf(tool, await switchTool(pool, principal, name, enabled)) };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/conversations/{id}/approvals/{approval_id}',
      summary: 'What the assistant wants to order, and what became of it',
      description: 'For a page that comes back to a conversation: the message names its approval.',
      tags: ['chat'],
      auth: 'customer',
      params: approvalParams,
      responses: { 200: approvalShape },
    },
    async ({ params: { id, approval_id }, principal: { tenant_id, user_id } }) => {
      const found = await inTenant(pool, tenant_id, (client) => findApproval(client, tenant_id, approval_id));
      if (found?.user_id !== user_id || found.conversation_id !== id) throw problem('not_found');
      return { status: 200, body: approvalView(found) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/conversations/{id}/approvals/{approval_id}',
      summary: 'Approve or reject what the assistant wants to order',
      description:
        'Answers `approval_required`. The same decision again gets the same answer; the other one is 409 `already_handled`, and an offer that has expired 409 `conflict`. What comes of it is told as events and in the message; with `Accept: text/event-stream` the answer is the stream of these events, as that of a question.',
      tags: ['chat'],
      auth: 'customer',
      params: approvalParams,
      body: z.strictObject({ decision: z.enum(decisions) }),
      problems: ['already_handled', 'conflict'],
      responses: {
        200: {
          description: 'What comes of it, as events.',
          alsoAs: { 'text/event-stream': {} },
        },
        202: decidedShape,
      },
    },
    async ({ params, body: { decision }, principal, req, res }) => {
      const { id: conversation_id, approval_id } = params;
      const deciding = { who: whoOf(principal), conversation_id, approval_id, decision };
      // Before the decision is there: what comes of it at once is not missed.
      const isStream = wantsStream(req);
      if (isStream) answers?.requireRoom(principal);
      const subscription = isStream ? answers?.follow(principal, conversation_id) : undefined;
      try {
        const decided = await decideApproval({ pool, requestApproval }, deciding);
        if (answers === undefined || subscription === undefined) return { status: 202, body: decided };
        const turn = { conversation_id, turn_id: decided.turn_id, answer_id: decided.message_id };
        // It may be a decision of long ago, which nothing more comes of.
        await answers.stream({ req, res }, { principal, turn: { ...turn, isReplayed: true }, subscription });
        return undefined;
      } finally {
        subscription?.close('closed');
      }
    },
  );
}

const byName = (a: Tool, b: Tool) => (a.name < b.name ? -1 : 1);

const whoOf = ({ tenant_id, user_id, roles }: Principal) => ({ tenant_id, user_id, roles });

function approvalView(it: Approval) {
  // Nobody notes that time has passed: an offer that nobody decided is over all the same.
  const isOver = it.state === 'pending' && it.is_late;
  return {
    approval_id: it.id,
    state: isOver ? ('expired' as const) : it.state,
    quote: it.quote,
    reason: isOver ? 'too_late' : it.reason,
    order_id: it.order_id,
    decided_at: it.decided_at?.toISOString() ?? null,
    expires_at: it.expires_at.toISOString(),
  };
}

function viewOf(tool: Tool, setting: { enabled: boolean; updated_at: Date } | undefined) {
  const { name, description, effect, roles, timeoutMs } = tool;
  return {
    name,
    description,
    parameters: specOf(tool).parameters,
    effect,
    roles,
    timeout_ms: timeoutMs,
    enabled: setting?.enabled ?? true,
    updated_at: setting?.updated_at.toISOString() ?? null,
  };
}
