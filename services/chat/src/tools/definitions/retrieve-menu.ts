/** retrieve_menu: what can be ordered, by meaning and under the rules of the house. */
import { z } from 'zod';
import { cited, citedFrom, clipped, narrowFilter, narrowing, query } from '../shapes.ts';
import { defineTool, type SearchContext } from '../tool.ts';

const limitUsual = 8;
const descriptionMax = 600;

export default defineTool({
  name: 'retrieve_menu',
  description:
    'Finds dishes, drinks and other products by what they are, with today’s prices and whether they can be ordered. Use it before naming a price, recommending something or building an order.',
  input: z.strictObject({
    query,
    ...narrowing,
    available: z
      .boolean()
      .optional()
      .meta({ description: 'false: what is sold out. When left out, what can be ordered.' }),
    limit: z.int().min(1).max(20).default(limitUsual),
  }),
  output: z.object({
    items: z.array(
      z.object({
        ...cited,
        product_id: z.string(),
        name: z.string(),
        description: z.string(),
        category: z.string().nullable(),
        price: z.int().nullable(),
        currency: z.string().nullable(),
        available: z.boolean().nullable(),
        tags: z.array(z.string()),
        allergens: z.array(z.string()),
      }),
    ),
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 5_000,

  async run(
    { query: words, limit, available, ...narrow },
    { tenant_id, parts, signal, cite }: SearchContext,
  ) {
    const { chunks } = await parts.retriever.retrieve({
      tenant_id,
      query: words,
      limit,
      // What is sold out is left out unless it is asked for, which no narrowing can do.
      server: { kinds: ['menu'], ...(available === undefined ? {} : { available }) },
      narrow: narrowFilter(narrow),
      signal,
    });
    const numbers = cite(chunks);
    return {
      items: chunks.map((chunk, at) => ({
        ...citedFrom(chunk, numbers[at]),
        product_id: chunk.source_id,
        name: chunk.title,
        description: clipped(chunk.text, descriptionMax),
        category: chunk.category,
        price: chunk.price,
        currency: chunk.currency,
        available: chunk.available,
        tags: chunk.tags,
        allergens: chunk.allergens,
      })),
    };
  },

  summary: ({ items }) => `${items.length} found`,
});
