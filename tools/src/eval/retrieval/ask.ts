/** Asks the offline responder as a turn does: retrieval, the model, its tools, the model again. */
import { roughTokens } from '../../../../services/chat/src/model/create.ts';
import type {
  ChatMessage,
  Model,
  ModelRequest,
  ToolCall,
} from '../../../../services/chat/src/model/model.ts';
import { createObserver } from '../../../../services/chat/src/model/observe.ts';
import { createOfflineModel } from '../../../../services/chat/src/model/offline/model.ts';
import type { Chunk } from '../../../../services/chat/src/retrieval/chunk.ts';
import type { Retriever } from '../../../../services/chat/src/retrieval/retrieve.ts';
import retrieveMenu from '../../../../services/chat/src/tools/definitions/retrieve-menu.ts';
import searchKnowledgeBase from '../../../../services/chat/src/tools/definitions/search-knowledge-base.ts';
import { createNumbering, searchTextOf } from '../../../../services/chat/src/turn/knowledge.ts';
import { metrics, type World } from './world.ts';

export type Said = { role: 'user' | 'assistant'; content: string };
export type Answer = {
  text: string;
  /** Titles of what the answer cites, in the order of its marks. */
  cited: string[];
  calls: ToolCall[];
  /** What was retrieved for the question, before any tool. */
  found: Chunk[];
};

const roundsMax = 6;
const sourcesMax = 8;
const knowledgeTokens = 1_500;

export function createAsker({ retriever, embedder }: Pick<World, 'retriever' | 'embedder'>) {
  const observe = createObserver({ metrics, record: () => {}, countTokens: roughTokens });
  const model = createOfflineModel({ embedder, observe, countTokens: roughTokens });
  return (tenantId: string, question: string, earlier: readonly Said[] = []) =>
    ask({ model, retriever, tenantId }, question, earlier);
}

type Asking = { model: Model; retriever: Retriever; tenantId: string };

async function ask(asking: Asking, question: string, earlier: readonly Said[]): Promise<Answer> {
  const { model, retriever, tenantId: tenant_id } = asking;
  const before = earlier.findLast(({ role }) => role === 'user')?.content;
  const query = searchTextOf(question, before);
  const { chunks } = await retriever.retrieve({
    tenant_id,
    query,
    limit: sourcesMax,
    tokenBudget: knowledgeTokens,
  });
  const numbering = createNumbering();
  numbering.cite(chunks);
  const messages: ChatMessage[] = [
    { role: 'system', content: '' },
    ...earlier,
    { role: 'user', content: question },
  ];
  const calls: ToolCall[] = [];
  for (let round = 0; round < roundsMax; round++) {
    const said = await listen(model, { ...request(tenant_id, messages), knowledge: [...numbering.chunks()] });
    if (said.calls.length === 0) {
      const marks = [...said.text.matchAll(/\[(\d+)\]/g)].map(([, number]) => Number(number));
      const cited = [...new Set(marks)].map((number) => numbering.get(number)?.title ?? '?');
      return { text: said.text, cited, calls, found: chunks };
    }
    messages.push({ role: 'assistant', content: said.text, tool_calls: said.calls });
    for (const call of said.calls) {
      calls.push(call);
      messages.push({
        role: 'tool',
        tool_call_id: call.id,
        content: await called(asking, call, numbering.cite),
      });
    }
  }
  return { text: '', cited: [], calls, found: chunks };
}

function request(tenant_id: string, messages: ChatMessage[]): Omit<ModelRequest, 'knowledge'> {
  const tools = ['retrieve_menu', 'apply_promos', 'confirm', 'search_knowledge_base', 'generate_summary'];
  return {
    purpose: 'chat',
    prompt: { name: 'assistant', hash: '' },
    messages,
    tools: tools.map((name) => ({ name, description: '', parameters: {} })),
    maxOutputTokens: 500,
    signal: new AbortController().signal,
    who: { tenant_id, user_id: 'eval', conversation_id: null, turn_id: null },
  };
}

async function listen(model: Model, asked: ModelRequest): Promise<{ text: string; calls: ToolCall[] }> {
  const said: { text: string; calls: ToolCall[] } = { text: '', calls: [] };
  for await (const event of model.stream(asked)) {
    if (event.kind === 'text') said.text += event.text;
    else if (event.kind === 'tool_calls') said.calls = event.calls;
  }
  return said;
}

/** Of the tools only those that search are here: the others need services that run. */
async function called(
  { retriever, tenantId: tenant_id }: Asking,
  { name, arguments: text }: ToolCall,
  cite: (chunks: readonly Chunk[]) => number[],
): Promise<string> {
  const searching = { tenant_id, signal: new AbortController().signal, parts: { retriever }, cite };
  const input: unknown = JSON.parse(text);
  if (name === retrieveMenu.name)
    return JSON.stringify(await retrieveMenu.run(retrieveMenu.input.parse(input), searching));
  if (name === searchKnowledgeBase.name)
    return JSON.stringify(await searchKnowledgeBase.run(searchKnowledgeBase.input.parse(input), searching));
  return JSON.stringify({ error: { code: 'tool_disabled', message: 'Not here' } });
}
