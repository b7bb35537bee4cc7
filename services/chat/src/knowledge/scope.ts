/** Work for all tenants at once: the index's, never a request's. */
import { type Client, inTransaction, type Pool } from '@ragline/postgres/pool';

/** Makes the present transaction one that sees and writes every tenant's knowledge; ends with the transaction. */
export async function seeAllTenants(client: Client): Promise<void> {
  await client.query({
    name: 'chat_scope_all',
    text: "SELECT set_config('ragline.scope', 'operator', true)",
  });
}

export function forAllTenants<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (client) => {
    await seeAllTenants(client);
    return work(client);
  });
}
