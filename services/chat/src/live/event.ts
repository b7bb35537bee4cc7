/** Events of conversations as readers see them: flat, without what they have nothing to say about. */
import type { TailRecord } from '@ragline/streams/tail-records';
import { z } from 'zod';
import type { Message } from '../domain.ts';

const shape = z.looseObject({
  event_id: z.string(),
  // It becomes a line of a stream.
  event_type: z.string().regex(/^[a-z0-9_]{1,64}$/),
  occurred_at: z.string(),
  tenant_id: z.string(),
  user_id: z.string(),
  conversation_id: z.string(),
  turn_id: z.string(),
  message_id: z.string(),
  generation: z.int(),
  sequence: z.int(),
});

export type ShownEvent = z.infer<typeof shape>;

const ends = new Set(['message_completed', 'message_failed', 'message_stopped']);

export const isEnd = ({ event_type }: Pick<ShownEvent, 'event_type'>): boolean => ends.has(event_type);

/** undefined for what is no event, or names someone else inside than its headers do. */
export function shownEvent(record: TailRecord, value: unknown): ShownEvent | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const said = Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
  const { data } = shape.safeParse(said);
  if (data === undefined || data.conversation_id !== record.key?.toString()) return undefined;
  const isOwn =
    headerOf(record, 'tenant_id') === data.tenant_id && headerOf(record, 'user_id') === data.user_id;
  return isOwn ? data : undefined;
}

function headerOf({ headers }: TailRecord, name: string): string | undefined {
  return headers.find(([key]) => key?.toString() === name)?.[1]?.toString();
}

type Asked = { tenant_id: string; user_id: string; conversation_id: string; turn_id: string };

/** The end of a turn as its message tells it, for whom the event itself did not reach; undefined while it is open. */
export function endFrom(asked: Asked, message: Message): Record<string, unknown> | undefined {
  const { id: message_id, state, usage, latency, error_code, completed_at, created_at } = message;
  if (state === 'pending' || state === 'running') return undefined;
  const { tenant_id, user_id, conversation_id, turn_id } = asked;
  return {
    event_type: `message_${state}`,
    occurred_at: completed_at ?? created_at,
    ...{ tenant_id, user_id, conversation_id, turn_id, message_id, message },
    ...(usage === null ? {} : { usage }),
    ...(latency === null ? {} : { latency }),
    ...(state === 'failed' ? { code: error_code ?? 'internal_error' } : {}),
  };
}
