/** What a model makes of a conversation; rules stand by where there is none, or where it does not say anything usable. */
import { z } from 'zod';
import { ModelError } from '../model/model.ts';
import type { Said, ToolContext } from './tool.ts';

const shape = z.object({
  sentiment: z.enum(['positive', 'neutral', 'negative']),
  intent: z.enum(['question', 'order', 'complaint', 'promotion', 'smalltalk', 'other']),
  urgency: z.enum(['low', 'normal', 'high']),
  language: z.string().regex(/^[a-z]{2}$/),
});

export type Analysis = z.infer<typeof shape>;

const textMax = 12_000;
const answerTokens = 120;
const answerMax = 2_000;

/** Undefined when the rules should decide. */
export async function analysedBy(
  { parts, signal, spent, tenant_id, user_id, conversation_id, turn_id }: ToolContext,
  said: readonly Said[],
): Promise<Analysis | undefined> {
  const { model, prompts } = parts;
  // The offline one knows no more than the rules do.
  if (model.isOffline || said.length === 0) return undefined;
  const prompt = prompts.prompt('analyse-conversation');
  const conversation = said
    .map(({ role, content }) => `${role}: ${content}`)
    .join('\n')
    .slice(-textMax);
  let text = '';
  try {
    const events = model.stream({
      purpose: 'analysis',
      prompt: { name: prompt.name, hash: prompt.hash },
      messages: [{ role: 'user', content: prompt.render({ conversation }) }],
      tools: [],
      knowledge: [],
      maxOutputTokens: answerTokens,
      signal,
      who: { tenant_id, user_id, conversation_id, turn_id },
    });
    for await (const event of events) {
      if (event.kind === 'text') text += event.text;
      if (event.kind === 'end') spent?.(event.usage);
      if (text.length > answerMax) break;
    }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return undefined;
  }
  return analysisIn(text);
}

/** The one JSON object in a model's answer, whatever it writes around it. */
function analysisIn(text: string): Analysis | undefined {
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
  try {
    const read = shape.safeParse(JSON.parse(json));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
