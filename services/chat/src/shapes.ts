/** What comes in and goes out over HTTP: checked at the border, described in OpenAPI. */
import { text, uuid } from '@ragline/web/fields';
import { pageQuery } from '@ragline/web/pages';
import { z } from 'zod';
import { citationExample, conversationExample, messageExample, newMessageExample } from './examples.ts';

/** UTF-16 units; some three thousand tokens at most. */
export const contentMax = 8_000;

const id = uuid.toLowerCase();
const at = z.iso.datetime();
export const idParams = z.object({ id: id.meta({ description: 'Of the conversation.' }) });

export const conversation = z
  .object({ id, title: z.string().nullable(), created_at: at, updated_at: at })
  .meta({ id: 'Conversation', examples: [conversationExample] });

export const citation = z
  .object({ index: z.int(), title: z.string(), source: z.string(), document_id: z.string() })
  .meta({ id: 'Citation', examples: [citationExample] });

export const message = z
  .object({
    id,
    conversation_id: id,
    turn_id: id,
    role: z.enum(['user', 'assistant']),
    content: z.string(),
    state: z.enum(['pending', 'running', 'completed', 'failed', 'stopped']),
    citations: z.array(citation),
    approval_id: id.nullable(),
    model: z.string().nullable(),
    usage: z.object({ input_tokens: z.int(), output_tokens: z.int() }).nullable(),
    latency: z.record(z.string(), z.number()).nullable().meta({ description: 'Milliseconds by hop.' }),
    context: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: 'What the model was shown, in tokens, and what was cut.' }),
    error_code: z.string().nullable(),
    created_at: at,
    completed_at: at.nullable(),
  })
  .meta({ id: 'Message', examples: [messageExample] });

export const newConversation = z.strictObject({}).optional();
export const newMessage = z
  .strictObject({
    content: text(contentMax, 1).refine((value) => value.trim() !== '', 'must not be blank'),
  })
  .meta({ examples: [newMessageExample] });
export const accepted = z
  .object({ turn_id: id, message_id: id, answer_id: id })
  .meta({ id: 'AcceptedMessage' });
export const answered = z.object({ message }).meta({ id: 'Answer' });
export const stopped = z
  .object({ turns: z.array(id).meta({ description: 'The turns that were open.' }) })
  .meta({ id: 'StoppedTurns' });
export const listQuery = z.object(pageQuery);
