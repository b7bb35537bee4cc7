/** Coverage of the index, and the change from one embedding model to another: fill, switch, roll back. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { text } from '@ragline/web/fields';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { embeddingStore } from '../embedding/store.ts';
import { modelExample } from '../examples.ts';
import { documentCoverage, kindCoverage, modelCoverage } from './coverage.ts';
import type { Filling } from './fill.ts';
import type { Models } from './models.ts';
import { fillAgain, longestChunk, modelBefore, retireModel } from './reembed.ts';
import { forAllTenants } from './scope.ts';

const tags = ['knowledge'];
// What an index of half-precision vectors takes.
const dimensionsMax = 4_000;
const modelId = text(200, 1).meta({
  description: 'minilm_l6_v2, or openai:<model>:<dimensions>.',
  example: 'minilm_l6_v2',
});
const model = z
  .object({
    id: modelId,
    version: z.string(),
    dimensions: z.int(),
    state: z.enum(['filling', 'active', 'retired']).meta({
      description: 'active: searched. filling: kept up to date beside it. retired: no longer written.',
    }),
    chunks: z.int(),
    embedded: z.int().meta({ description: 'Chunks with a vector of their present text, by its hash.' }),
    missing: z.int(),
    activated_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'EmbeddingModel', examples: [modelExample] });
const models = z.object({ data: z.array(model) });
const modelQuery = z.object(pageQuery);
const kinds = z.object({
  kind: z.enum(['menu', 'policy', 'faq', 'note']),
  sources: z.int(),
  chunks: z.int(),
  indexed_at: z.iso.datetime().nullable(),
});

export type ModelParts = { pool: Pool; models: Models; filling: Pick<Filling, 'wake'> };

export function addModelRoutes(api: Api, { pool, models: book, filling }: ModelParts): void {
  const all = async () => ({ status: 200, body: { data: await forAllTenants(pool, modelCoverage) } });

  api.route(
    {
      method: 'get',
      path: '/v1/knowledge/coverage',
      summary: 'How much of the knowledge can be found',
      tags,
      auth: 'staff',
      responses: {
        200: z.object({
          kinds: z.array(kinds),
          documents: z.int(),
          behind: z.int().meta({ description: 'Documents whose present version cannot be found yet.' }),
          models: z.array(model),
        }),
      },
    },
    async ({ principal: { tenant_id } }) =>
      inTenant(pool, tenant_id, async (client) => ({
        status: 200,
        body: {
          kinds: await kindCoverage(client, tenant_id),
          ...(await documentCoverage(client, tenant_id)),
          models: await modelCoverage(client),
        },
      })),
  );

  api.route(
    {
      method: 'get',
      path: '/v1/knowledge/models',
      summary: 'Embedding models, and how full each is',
      tags,
      auth: 'operator',
      query: modelQuery,
      responses: { 200: pageOf(model) },
    },
    async ({ query: { limit, cursor } }) => {
      const after = decodePageCursor(cursor, z.tuple([z.string()]))?.[0] ?? '';
      const found = (await forAllTenants(pool, modelCoverage)).filter(({ id }) => id > after);
      const sorted = found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return { status: 200, body: toPage(sorted, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/knowledge/models',
      summary: 'Embed everything by another model, beside the present one',
      description: 'Searches go on with the present model. `missing` counts down; then switch.',
      tags,
      auth: 'operator',
      body: z.strictObject({ id: modelId }),
      responses: {
        200: models,
        409: { description: '`conflict`: it reads less than the longest chunk has.' },
      },
    },
    async ({ body: { id } }) => {
      if (Number(/:(\d+)$/.exec(id)?.[1] ?? 1) > dimensionsMax) {
        throw invalid('id', `has more than ${dimensionsMax} dimensions`);
      }
      const embedder = book.embedderOf(id);
      if (embedder === undefined) throw invalid('id', 'is no model that this service is set up for');
      const longest = await forAllTenants(pool, longestChunk);
      if (longest > embedder.model.maxTokens) {
        throw problem('conflict', `It reads ${embedder.model.maxTokens} tokens, and a chunk has ${longest}.`);
      }
      await embeddingStore.register(pool, embedder.model);
      await fillAgain(pool, id);
      filling.wake();
      return all();
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/knowledge/models/switch',
      summary: 'Search by another model',
      description: 'The one before goes on being filled: rolling back loses nothing.',
      tags,
      auth: 'operator',
      body: z.strictObject({
        id: modelId,
        force: z.boolean().default(false).meta({ description: 'Though it is not full.' }),
      }),
      responses: { 200: models, 409: { description: '`conflict`: it is not full.' } },
    },
    async ({ body: { id, force } }) => {
      const found = (await forAllTenants(pool, modelCoverage)).find((it) => it.id === id);
      if (found === undefined || found.state === 'retired')
        throw invalid('id', 'is not filled: reembed it first');
      if (book.embedderOf(id) === undefined)
        throw invalid('id', 'is no model that this service is set up for');
      if (found.missing > 0 && !force)
        throw problem('conflict', `It has no vector of ${found.missing} chunks yet.`);
      await forAllTenants(pool, (client) => embeddingStore.activate(client, id));
      return all();
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/knowledge/models/rollback',
      summary: 'Search by the model before',
      tags,
      auth: 'operator',
      responses: { 200: models, 409: { description: '`conflict`: there is none before, or it is retired.' } },
    },
    async () => {
      await forAllTenants(pool, async (client) => {
        const before = await modelBefore(client);
        if (before === undefined) throw problem('conflict', 'There is no model to go back to.');
        if (book.embedderOf(before) === undefined)
          throw problem('conflict', `This service is not set up for ${before}.`);
        await embeddingStore.activate(client, before);
      });
      return all();
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/knowledge/models/retire',
      summary: 'Fill a model no longer',
      tags,
      auth: 'operator',
      body: z.strictObject({ id: modelId }),
      responses: { 200: models, 409: { description: '`conflict`: it is the active one.' } },
    },
    async ({ body: { id } }) => {
      if (!(await retireModel(pool, id))) throw problem('conflict', 'It is the active one, or unknown.');
      return all();
    },
  );
}

function invalid(path: string, message: string) {
  return problem('invalid', undefined, { errors: [{ path, message }] });
}
