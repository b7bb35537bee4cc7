/** A message as Postgres has it, and as its reader sees it. */
import type { Message } from '../domain.ts';

export type MessageRow = Omit<Message, 'created_at' | 'completed_at'> & {
  created_at: Date;
  completed_at: Date | null;
};

export const messageColumns =
  'id, conversation_id, turn_id, role, content, state, citations, approval_id, model, usage, latency, context, error_code, created_at, completed_at';

export function messageOf({ created_at, completed_at, ...row }: MessageRow): Message {
  return {
    ...row,
    created_at: created_at.toISOString(),
    completed_at: completed_at?.toISOString() ?? null,
  };
}
