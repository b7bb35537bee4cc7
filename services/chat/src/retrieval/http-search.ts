/** GET /v1/knowledge/search. */
import { UnavailableError } from '@ragline/streams/errors';
import type { Api } from '@ragline/web/api';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { foundChunkExample } from '../examples.ts';
import { kinds } from './chunk.ts';
import type { Retriever } from './retrieve.ts';

const searchQuery = z.object({
  q: z.string().trim().min(1).max(2_000).describe('A question or some words.'),
  kind: z.enum(kinds).optional().meta({ description: 'Of this kind alone.' }),
  limit: z.coerce.number().int().min(1).max(50).default(10).meta({ description: 'How many at most.' }),
});

const foundChunk = z
  .object({
    id: z.uuid(),
    source_id: z.uuid().describe('The product or the document.'),
    kind: z.enum(kinds),
    title: z.string(),
    header: z.string().describe('Where the text stands: kind, title, headings.'),
    text: z.string(),
    score: z.number().describe('Cosine of the angle between question and text.'),
    tokens: z.int(),
    category: z.string().nullable(),
    tags: z.array(z.string()),
    allergens: z.array(z.string()),
    price: z.int().nullable().describe('Minor units.'),
    currency: z.string().nullable(),
    available: z.boolean().nullable().describe('Null for what cannot be ordered.'),
    source: z.string().describe('What a citation names.'),
    changed_at: z.iso.datetime(),
  })
  .meta({ id: 'FoundChunk', examples: [foundChunkExample] });

/** What a customer reads here is cut by number, not by tokens. */
const unlimitedTokens = 1_000_000;

export function addSearchRoutes(api: Api, { retriever }: { retriever: Retriever }): void {
  api.route(
    {
      method: 'get',
      path: '/v1/knowledge/search',
      summary: 'The passages of menu, policies, FAQs and notes that are nearest in meaning',
      tags: ['knowledge'],
      auth: 'customer',
      query: searchQuery,
      responses: { 200: z.object({ data: z.array(foundChunk) }) },
    },
    async ({ query: { q, kind, limit }, principal: { tenant_id } }) => {
      const narrow = kind === undefined ? {} : { kinds: [kind] };
      const request = { tenant_id, query: q, limit, tokenBudget: unlimitedTokens, narrow };
      try {
        const { chunks } = await retriever.retrieve(request);
        return { status: 200, body: { data: chunks } };
      } catch (error) {
        if (error instanceof UnavailableError) throw problem('unavailable', undefined, { cause: error });
        throw error;
      }
    },
  );
}
