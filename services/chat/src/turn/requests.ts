/**
 * Asking for work: rows of a turn, and its record in the outbox, in the caller's transaction.
 *
 * Both are there or neither: what is asked for is answered, and what was rolled back is never heard of.
 */
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox } from '@ragline/postgres/outbox';
import type { Client } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { ChatRequestEvent } from '@ragline/schemas/types.generated';
import { problem } from '@ragline/web/problems';
import { titleFrom } from '../domain.ts';
import { type OpenTurnLimits, requirePlace } from './places.ts';

export type Who = { tenant_id: string; user_id: string; roles: readonly string[] };

export type Requested = {
  turn_id: string;
  /** The user's message. */
  message_id: string;
  /** The message that will hold the answer. */
  answer_id: string;
};

export type TurnRequests = Awaited<ReturnType<typeof createTurnRequests>>;

/**
 * Looks the schema up, so that no transaction waits for the registry; rejects while it cannot answer.
 */
export async function createTurnRequests(codec: Codec, limits: OpenTurnLimits) {
  const encode = await codec.encoder('chat_request_v1');

  async function append(client: Client, event: ChatRequestEvent): Promise<void> {
    await appendOutbox(client, 'chat', [
      {
        id: event.event_id,
        topic: topics.chatRequests.name,
        key: event.conversation_id,
        event_type: event.event_type,
        tenant_id: event.tenant_id,
        user_id: event.user_id,
        traceparent: currentTraceparent(),
        payload: encode(event),
      },
    ]);
  }

  return {
    /**
     * Asks for an answer: the message, the answer to be, the turn and its record.
     *
     * Throws problems: `not_found` for a conversation that is not the user's, `rate_limited` when too many turns of
     * the tenant or the user are open (a few more can slip through side by side).
     */
    async requestTurn(
      client: Client,
      { who, conversation_id, content }: { who: Who; conversation_id: string; content: string },
    ): Promise<Requested> {
      const { tenant_id, user_id } = who;
      await requirePlace(client, who, limits);
      const last = await takePositions(client, { who, conversation_id, title: titleFrom(content) }, 2);
      const ids = { turn_id: randomUUIDv7(), message_id: randomUUIDv7(), answer_id: randomUUIDv7() };
      await client.query({
        name: 'chat_insert_turn',
        text: `WITH turn AS (
                 INSERT INTO chat.turn (id, conversation_id, tenant_id, user_id, roles, kind, message_id, answer_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, 'answer', $6, $7, clock_timestamp()))
               INSERT INTO chat.message (id, conversation_id, tenant_id, user_id, turn_id, position, role, content, state, completed_at)
               VALUES ($6, $2, $3, $4, $1, $8 - 1, 'user', $9, 'completed', now()),
                      ($7, $2, $3, $4, $1, $8, 'assistant', '', 'pending', NULL)`,
        values: [
          ids.turn_id,
          conversation_id,
          tenant_id,
          user_id,
          who.roles,
          ids.message_id,
          ids.answer_id,
          last,
          content,
        ],
      });
      await append(client, {
        ...eventBase('turn_requested', who, conversation_id),
        turn_id: ids.turn_id,
        message_id: ids.message_id,
        approval_id: null,
      });
      return ids;
    },

    /**
     * Asks for what a decision brings with it: the order that was approved, or word that it was not.
     * A second time, or side by side with another, gives the turn of the first; one that failed is run again, whatever
     * it failed of: the caller asks again only for what has no outcome yet. `message_id` is the answer's.
     */
    async requestApproval(
      client: Client,
      { conversation_id, approval_id, ...who }: Who & { conversation_id: string; approval_id: string },
    ): Promise<{ turn_id: string; message_id: string }> {
      const { tenant_id, user_id } = who;
      // Under the conversation's lock: whoever comes second sees the turn of the first.
      const last = await takePositions(client, { who, conversation_id, title: null }, 1);
      const { rows } = await client.query<{ turn_id: string; message_id: string; reopened: boolean }>({
        name: 'chat_turn_of_approval',
        text: `WITH reopened AS (
                 UPDATE chat.turn
                    SET state = 'requested', error_code = NULL, started_at = NULL, finished_at = NULL,
                        requested_at = clock_timestamp()
                  WHERE tenant_id = $1 AND approval_id = $2 AND state = 'failed'
                 RETURNING id, answer_id),
               answer AS (
                 UPDATE chat.message m SET state = 'pending', error_code = NULL, completed_at = NULL
                   FROM reopened WHERE m.tenant_id = $1 AND m.id = reopened.answer_id)
               SELECT id AS turn_id, answer_id AS message_id, id IN (SELECT id FROM reopened) AS reopened
                 FROM chat.turn WHERE tenant_id = $1 AND approval_id = $2`,
        values: [tenant_id, approval_id],
      });
      const [earlier] = rows;
      if (earlier !== undefined) {
        const { reopened, ...ids } = earlier;
        const event = eventBase('approval_decided', who, conversation_id);
        if (reopened) await append(client, { ...event, ...ids, approval_id });
        return ids;
      }
      const ids = { turn_id: randomUUIDv7(), message_id: randomUUIDv7() };
      await client.query({
        name: 'chat_insert_approval_turn',
        text: `WITH turn AS (
                 INSERT INTO chat.turn (id, conversation_id, tenant_id, user_id, roles, kind, approval_id, answer_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, 'approval', $6, $7, clock_timestamp()))
               INSERT INTO chat.message (id, conversation_id, tenant_id, user_id, turn_id, position, role, state, approval_id)
               VALUES ($7, $2, $3, $4, $1, $8, 'assistant', 'pending', $6)`,
        values: [
          ids.turn_id,
          conversation_id,
          tenant_id,
          user_id,
          who.roles,
          approval_id,
          ids.message_id,
          last,
        ],
      });
      await append(client, {
        ...eventBase('approval_decided', who, conversation_id),
        ...ids,
        approval_id,
      });
      return ids;
    },

    /**
     * Asks that the conversation's open answers end; the turns that were open. What an approval brings with it goes on.
     * Throws a problem `not_found` for a conversation that is not the user's.
     */
    async requestStop(
      client: Client,
      { who, conversation_id }: { who: Who; conversation_id: string },
    ): Promise<string[]> {
      const { tenant_id, user_id } = who;
      const owned = await client.query({
        name: 'chat_own_conversation',
        text: `SELECT FROM chat.conversation
                WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND deleted_at IS NULL`,
        values: [tenant_id, conversation_id, user_id],
      });
      if (!owned.rowCount) throw problem('not_found');
      const { rows } = await client.query<{ id: string; message_id: string; is_new: boolean }>({
        name: 'chat_stop_turns',
        text: `WITH open AS (
                 SELECT id, message_id, stop_requested_at IS NULL AS is_new FROM chat.turn
                  WHERE tenant_id = $1 AND conversation_id = $2 AND kind = 'answer' AND state IN ('requested', 'running')
                    FOR UPDATE),
               stopped AS (
                 UPDATE chat.turn t SET stop_requested_at = clock_timestamp() FROM open WHERE t.id = open.id AND open.is_new)
               SELECT id, message_id, is_new FROM open ORDER BY id`,
        values: [tenant_id, conversation_id],
      });
      // Every instance hears of a wish: once.
      for (const { id: turn_id, message_id, is_new } of rows) {
        if (!is_new) continue;
        await append(client, {
          ...eventBase('stop_requested', who, conversation_id),
          turn_id,
          message_id,
          approval_id: null,
        });
      }
      return rows.map(({ id }) => id);
    },
  };
}

function eventBase(
  event_type: ChatRequestEvent['event_type'],
  { tenant_id, user_id }: Who,
  conversation_id: string,
) {
  const occurred_at = new Date().toISOString();
  return { event_id: randomUUIDv7(), event_type, occurred_at, tenant_id, user_id, conversation_id };
}

/** Locks the conversation until the transaction ends, and takes the next positions in it; the last of them. */
async function takePositions(
  client: Client,
  { who, conversation_id, title }: { who: Who; conversation_id: string; title: string | null },
  count: number,
): Promise<number> {
  const { rows } = await client.query<{ messages: number }>({
    name: 'chat_take_positions',
    text: `UPDATE chat.conversation
              SET messages = messages + $4, updated_at = now(), title = coalesce(title, $5)
            WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND deleted_at IS NULL
        RETURNING messages`,
    values: [who.tenant_id, conversation_id, who.user_id, count, title],
  });
  const [conversation] = rows;
  if (conversation === undefined) throw problem('not_found');
  return conversation.messages;
}
