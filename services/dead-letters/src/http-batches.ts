/** REST of batches: many letters at once, throttled, stopped by failures, gone on with after a restart. */
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import type { Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { idempotencyKey, int, text, timestamp, uuid } from '@ragline/web/fields';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import { pageOf, pageQuery } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { actorOf } from './audit.ts';
import { createBatch, dryRun } from './batch-create.ts';
import { batchView, commandBatch, findBatch, listBatches } from './batch-store.ts';
import { batchExample, batchRequestExample, dryRunExample, unluckyExample } from './examples.ts';
import { mayRead, noBody, tags } from './http.ts';
import { filterQuery } from './letter-filter.ts';
import { inScope } from './scope.ts';

const batchRequest = z
  .strictObject({
    filter: z.strictObject(filterQuery).optional(),
    ids: z.array(uuid).min(1).max(10_000).optional(),
    action: z.enum(['replay', 'discard']),
    reason: text(1_000, 1),
    rate_per_s: z.number().min(0.01).max(100_000).optional().meta({ description: 'Letters a second.' }),
    ramp: z.array(int(1, 1_000_000)).max(20).optional().meta({
      description:
        'Sizes of the first steps, such as [1, 10, 100]: each waits for the outcomes of the one before.',
    }),
    in_flight: int(1, 10_000).default(50).meta({ description: 'Sent and without an outcome, at most.' }),
    stop_on_failures: int(1, 1_000_000)
      .optional()
      .meta({ description: 'Nothing new is sent after so many of its letters have failed again.' }),
    delay_s: z.number().min(0).max(86_400).default(10).meta({
      description:
        'Begins after so long, counted from the answer; until then it can be cancelled, and nothing is left of it but its lines in the audit.',
    }),
    dry_run: z.boolean().default(false),
  })
  .refine(
    ({ filter, ids }) => (filter === undefined) !== (ids === undefined),
    'must have either filter or ids',
  )
  .meta({ id: 'DeadLetterBatchRequest', examples: [batchRequestExample] });

const counts = z.object({
  selected: z.int(),
  pending: z.int(),
  sent: z.int(),
  in_flight: z.int(),
  resolved: z.int(),
  discarded: z.int(),
  failed: z.int(),
  skipped: z.int(),
});
const batch = {
  id: uuid,
  state: z.enum(['scheduled', 'running', 'paused', 'stopped', 'cancelled', 'done']),
  state_reason: z.string().nullable(),
  action: z.enum(['replay', 'discard']),
  reason: z.string(),
  selection: z.unknown(),
  tenant_id: uuid.nullable(),
  user_id: uuid,
  rate_per_s: z.number().nullable(),
  ramp: z.array(z.int()),
  in_flight: z.int(),
  stop_on_failures: z.int().nullable(),
  counts,
  starts_at: timestamp,
  created_at: timestamp,
  updated_at: timestamp,
  finished_at: timestamp.nullable(),
};
const batchShape = z.object(batch).meta({ id: 'DeadLetterBatch', examples: [batchExample] });
const unlucky = z.array(z.object({ letter_id: uuid, state: z.string(), detail: z.string().nullable() }));
const wholeBatchShape = z
  .object({
    ...batch,
    unlucky: unlucky.meta({ description: 'Some that failed or were passed over, and why.' }),
  })
  .meta({ id: 'WholeDeadLetterBatch', examples: [{ ...batchExample, unlucky: unluckyExample }] });
const number = z.record(z.string(), z.int());
const dryRunShape = z
  .object({
    counts: z.object({
      total: z.int(),
      selected: z.int(),
      by_group: number,
      by_state: number,
      skipped: number,
    }),
  })
  .meta({ id: 'DeadLetterDryRun', examples: [dryRunExample] });

const params = z.object({ id: uuid.meta({ description: 'Of the batch.' }) });
const idOfBody = { id: '$response.body#/id' };
const links = {
  batch: { to: 'GET /v1/dead-letters/batches/{id}', parameters: idOfBody },
  pause: { to: 'POST /v1/dead-letters/batches/{id}/pause', parameters: idOfBody },
  resume: { to: 'POST /v1/dead-letters/batches/{id}/resume', parameters: idOfBody },
  cancel: { to: 'POST /v1/dead-letters/batches/{id}/cancel', parameters: idOfBody },
} as const;

export type BatchRouteParts = {
  pool: Pool;
  idempotency: IdempotencyStore;
  foreignReplayTopics: ReadonlyMap<string, string>;
};

export function addBatchRoutes(api: Api, { pool, idempotency, foreignReplayTopics }: BatchRouteParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/batches',
      summary: 'Replay or discard many letters',
      description:
        'The selection is frozen now: what comes later is not in it. It begins after `delay_s`. A dry run answers 200 with counts and stores nothing.',
      tags,
      auth: mayRead,
      headers: z.object({ 'idempotency-key': idempotencyKey.optional() }),
      body: batchRequest,
      responses: {
        200: dryRunShape,
        202: { schema: batchShape, headers: { location: 'Where the batch is.' }, links },
      },
    },
    async ({ body, headers, principal }) => {
      const actor = actorOf(principal);
      const { dry_run, ...request } = body;
      if (dry_run) {
        const counted = await inScope(pool, actor.scope, (client) =>
          dryRun(client, actor.scope, request, foreignReplayTopics),
        );
        return { status: 200, body: counted };
      }
      const requestHash = hashRequest('POST', '/v1/dead-letters/batches', body);
      const once = { store: idempotency, principal, key: headers['idempotency-key'], requestHash };
      return idempotent(once, async (client) => {
        // The answer is kept under the caller's own tenant, whose transaction this stays; an operator's also reaches all letters.
        if (actor.scope.tenant_id === null)
          await client.query("SELECT set_config('ragline.scope', 'operator', true)");
        const made = batchView(await createBatch(client, actor, request));
        return { status: 202, body: made, headers: { location: `/v1/dead-letters/batches/${made.id}` } };
      });
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/batches',
      summary: 'Batches, newest first',
      tags,
      auth: mayRead,
      query: z.object(pageQuery),
      responses: { 200: pageOf(batchShape) },
    },
    async ({ query: { limit, cursor }, principal }) => ({
      status: 200,
      body: await listBatches(pool, actorOf(principal).scope, { limit, cursor }),
    }),
  );

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/batches/{id}',
      summary: 'One batch, and how far it is',
      tags,
      auth: mayRead,
      params,
      responses: { 200: { schema: wholeBatchShape, links } },
    },
    async ({ params: { id }, principal }) => {
      const found = await findBatch(pool, actorOf(principal).scope, id);
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: { ...batchView(found.batch), unlucky: found.unlucky } };
    },
  );

  for (const [command, summary] of [
    ['pause', 'Send nothing more until it is resumed'],
    ['resume', 'Go on; failures so far stop it no more'],
    ['cancel', 'End it; before it has begun, as if it had never been'],
  ] as const) {
    api.route(
      {
        method: 'post',
        path: `/v1/dead-letters/batches/{id}/${command}`,
        summary,
        description: 'What is under way comes to its end. 409 `conflict` in a state that does not allow it.',
        tags,
        auth: mayRead,
        params,
        body: noBody,
        problems: ['conflict'],
        responses: { 200: batchShape },
      },
      async ({ params: { id }, principal }) => ({
        status: 200,
        body: batchView(await commandBatch(pool, actorOf(principal), id, command)),
      }),
    );
  }
}
