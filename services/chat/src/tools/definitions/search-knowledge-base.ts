/** search_knowledge_base: passages of all documents, by meaning. */
import { z } from 'zod';
import { kinds } from '../../retrieval/chunk.ts';
import { cited, citedFrom, clipped, narrowFilter, narrowing, query } from '../shapes.ts';
import { defineTool, type SearchContext } from '../tool.ts';

const limitUsual = 6;
const textMax = 2_000;

export default defineTool({
  name: 'search_knowledge_base',
  description:
    'Finds passages about opening hours, delivery, payment, allergens, refunds and everything else that the house has written down, as well as the menu. Say only what a passage says, and cite it.',
  input: z.strictObject({
    query,
    kinds: z.array(z.enum(kinds)).min(1).max(4).optional(),
    ...narrowing,
    limit: z.int().min(1).max(12).default(limitUsual),
  }),
  output: z.object({
    results: z.array(z.object({ ...cited, kind: z.enum(kinds), text: z.string(), score: z.number() })),
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 5_000,

  async run(
    { query: words, kinds: wanted, limit, ...narrow },
    { tenant_id, parts, signal, cite }: SearchContext,
  ) {
    const { chunks } = await parts.retriever.retrieve({
      tenant_id,
      query: words,
      limit,
      narrow: { ...narrowFilter(narrow), ...(wanted === undefined ? {} : { kinds: wanted }) },
      signal,
    });
    const numbers = cite(chunks);
    return {
      results: chunks.map((chunk, at) => ({
        ...citedFrom(chunk, numbers[at]),
        kind: chunk.kind,
        text: clipped(chunk.text, textMax),
        score: Math.round(chunk.score * 1_000) / 1_000,
      })),
    };
  },

  summary: ({ results }) => `${results.length} found`,
});
