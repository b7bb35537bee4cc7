/** analyze_conversation: what the customer wants, in which mood, how urgently and in which language. */
import { z } from 'zod';
import { analysedBy } from '../analysis.ts';
import { intentOf, intents, languageOf, moodOf, urgencyOf } from '../text-signs.ts';
import { defineTool } from '../tool.ts';

const messagesUsual = 12;
const textMax = 8_000;

export default defineTool({
  name: 'analyze_conversation',
  description:
    'Tells the mood, intent, urgency and language of the customer in this conversation, and whether the mood is getting better or worse. Use it when the customer seems upset or it is not clear what is wanted.',
  input: z.strictObject({
    messages: z.int().min(1).max(50).default(messagesUsual).meta({ description: 'How many of the newest.' }),
  }),
  output: z.object({
    sentiment: z.object({
      label: z.enum(['positive', 'neutral', 'negative', 'unknown']),
      score: z.number().meta({ description: 'From -1 to 1.' }),
      trend: z.enum(['better', 'same', 'worse']),
    }),
    intent: z.enum(intents),
    urgency: z.enum(['low', 'normal', 'high']),
    language: z.string(),
    messages: z.int(),
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 20_000,

  async run({ messages: limit }, context) {
    const { tenant_id, conversation_id, parts } = context;
    const said = await parts.recentMessages(tenant_id, conversation_id, limit);
    const texts = said.filter(({ role }) => role === 'user').map(({ content }) => content.slice(-textMax));
    const all = texts.join('\n').slice(-textMax);
    const last = texts.at(-1) ?? '';
    const language = await languageOf(all);
    const mood = await moodOf(all, language);
    const first = await moodOf(texts.slice(0, -1).join('\n').slice(-textMax), language);
    const now = await moodOf(last, language);
    const change = texts.length < 2 ? 0 : now.score - first.score;
    // What is wanted now; a bare yes or no belongs to what was said before.
    const intent =
      [...texts]
        .reverse()
        .map(intentOf)
        .find((it) => it !== 'other') ?? 'other';
    const trend = change > 0.3 ? 'better' : change < -0.3 ? 'worse' : 'same';
    const byRules = {
      sentiment: { ...mood, trend } as const,
      intent,
      urgency: urgencyOf(last, now, intent),
      language,
      messages: texts.length,
    };
    const judged = await analysedBy(context, said);
    if (judged === undefined) return byRules;
    const { sentiment: label, ...others } = judged;
    return { ...byRules, ...others, sentiment: { ...byRules.sentiment, label } };
  },

  summary: ({ intent, urgency }) => `${intent}, ${urgency}`,
});
