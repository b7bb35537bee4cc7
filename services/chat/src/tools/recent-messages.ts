/** What was said last in a conversation, for tools that look at it. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Said } from './tool.ts';

/** The newest messages that are whole, oldest first. */
export async function recentMessages(
  pool: Pool,
  tenantId: string,
  conversationId: string,
  limit: number,
): Promise<Said[]> {
  const { rows } = await inTenant(pool, tenantId, (client) =>
    client.query<Said>({
      name: 'chat_recent_messages',
      text: `SELECT role, content FROM chat.message
              WHERE tenant_id = $1 AND conversation_id = $2 AND state IN ('completed', 'stopped') AND content <> ''
              ORDER BY position DESC LIMIT $3`,
      values: [tenantId, conversationId, limit],
    }),
  );
  return rows.reverse();
}
