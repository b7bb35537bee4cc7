/** Conversations and their messages as their owner reads them. */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Conversation, Message } from '../domain.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';

export type Owner = { tenant_id: string; user_id: string };

export type ConversationStore = ReturnType<typeof conversationStore>;

type ConversationRow = { id: string; title: string | null; created_at: Date; updated_at: Date };
type Positioned = Message & { position: number };

export function conversationStore(pool: Pool) {
  return {
    /** Opens a conversation, in the caller's transaction. */
    async open(client: Client, { tenant_id, user_id }: Owner): Promise<Conversation> {
      const { rows } = await client.query<ConversationRow>({
        name: 'chat_open_conversation',
        text: `INSERT INTO chat.conversation (id, tenant_id, user_id) VALUES ($1, $2, $3)
               RETURNING id, title, created_at, updated_at`,
        values: [randomUUIDv7(), tenant_id, user_id],
      });
      const [row] = rows;
      if (row === undefined) throw new Error('A conversation was not kept');
      return conversationOf(row);
    },

    /** The owner's conversations, newest first: one row more than the limit when there are more. */
    list(
      { tenant_id, user_id }: Owner,
      page: { before: string | undefined; limit: number },
    ): Promise<Conversation[]> {
      return inTenant(pool, tenant_id, async (client) => {
        const { rows } = await client.query<ConversationRow>({
          name: 'chat_conversations',
          text: `SELECT id, title, created_at, updated_at FROM chat.conversation
                  WHERE tenant_id = $1 AND user_id = $2 AND deleted_at IS NULL AND ($3::uuid IS NULL OR id < $3)
                  ORDER BY id DESC LIMIT $4`,
          values: [tenant_id, user_id, page.before ?? null, page.limit + 1],
        });
        return rows.map(conversationOf);
      });
    },

    /** One of the owner's; undefined for anybody else's. */
    find({ tenant_id, user_id }: Owner, id: string): Promise<Conversation | undefined> {
      return inTenant(pool, tenant_id, async (client) => {
        const { rows } = await client.query<ConversationRow>({
          name: 'chat_conversation',
          text: `SELECT id, title, created_at, updated_at FROM chat.conversation
                  WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND deleted_at IS NULL`,
          values: [tenant_id, user_id, id],
        });
        return rows[0] && conversationOf(rows[0]);
      });
    },

    /** Messages in their order: one more than the limit when there are more; undefined for anybody else's conversation. */
    messages(
      owner: Owner,
      conversationId: string,
      page: { after: number; limit: number },
    ): Promise<Positioned[] | undefined> {
      const { tenant_id, user_id } = owner;
      return inTenant(pool, tenant_id, async (client) => {
        const owned = await client.query({
          name: 'chat_is_own_conversation',
          text: `SELECT FROM chat.conversation
                  WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND deleted_at IS NULL`,
          values: [tenant_id, user_id, conversationId],
        });
        if (!owned.rowCount) return undefined;
        const { rows } = await client.query<MessageRow & { position: number }>({
          name: 'chat_messages',
          text: `SELECT ${messageColumns}, position FROM chat.message
                  WHERE tenant_id = $1 AND conversation_id = $2 AND position > $3 ORDER BY position LIMIT $4`,
          values: [tenant_id, conversationId, page.after, page.limit + 1],
        });
        return rows.map(({ position, ...row }) => ({ ...messageOf(row), position }));
      });
    },

    /** One message of the owner's; undefined for anybody else's. */
    message({ tenant_id, user_id }: Owner, id: string): Promise<Message | undefined> {
      return inTenant(pool, tenant_id, async (client) => {
        const { rows } = await client.query<MessageRow>({
          name: 'chat_own_message',
          text: `SELECT ${messageColumns} FROM chat.message WHERE tenant_id = $1 AND user_id = $2 AND id = $3`,
          values: [tenant_id, user_id, id],
        });
        return rows[0] && messageOf(rows[0]);
      });
    },
  };
}

function conversationOf({ id, title, created_at, updated_at }: ConversationRow): Conversation {
  return { id, title, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() };
}
