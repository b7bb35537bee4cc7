/** generate_summary: several documents, or this conversation, in short; each sentence says where it is from. */
import { text } from '@ragline/web/fields';
import { z } from 'zod';
import { cited, citedFrom } from '../shapes.ts';
import { summarise } from '../summarise.ts';
import { defineTool, ToolError } from '../tool.ts';

const messagesMax = 40;
const chunksMax = 10;

export default defineTool({
  name: 'generate_summary',
  description:
    'Summarises what the documents of the house say about a topic, with citations, or this conversation so far.',
  input: z.strictObject({
    about: z.enum(['documents', 'conversation']),
    query: text(1_000, 1).optional().meta({ description: 'The topic; required for documents.' }),
    max_words: z.int().min(20).max(300).default(120),
  }),
  output: z.object({
    summary: z.string().max(8_000),
    sources: z.array(z.object({ ...cited, document_id: z.string() })),
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 30_000,

  async run({ about, query, max_words }, context) {
    const { tenant_id, conversation_id, parts, signal, cite } = context;
    if (about === 'conversation') {
      const said = await parts.recentMessages(tenant_id, conversation_id, messagesMax);
      if (said.length === 0) throw new ToolError('nothing_to_summarise', 'Nothing has been said yet.');
      return {
        summary: await summarise(context, { kind: 'conversation', said, maxWords: max_words }),
        sources: [],
      };
    }
    if (query === undefined) throw new ToolError('invalid_arguments', 'Call again with a query: the topic.');
    const { chunks } = await parts.retriever.retrieve({ tenant_id, query, limit: chunksMax, signal });
    if (chunks.length === 0)
      throw new ToolError('nothing_to_summarise', 'No document says anything about it.');
    const numbers = cite(chunks);
    const summary = await summarise(context, {
      kind: 'documents',
      topic: query,
      chunks,
      numbers,
      maxWords: max_words,
    });
    const used = new Set([...summary.matchAll(/\[(\d+)\]/g)].map(([, number]) => Number(number)));
    const sources = chunks
      .map((chunk, at) => ({ ...citedFrom(chunk, numbers[at]), document_id: chunk.source_id }))
      .filter(({ citation }) => used.has(citation));
    return { summary, sources };
  },

  summary: ({ sources }) => (sources.length === 0 ? 'summarised' : `${sources.length} sources`),
});
