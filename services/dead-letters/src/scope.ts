/** Whose letters a transaction sees. */
import { type Client, inTransaction, type Pool } from '@ragline/postgres/pool';

/** `tenant_id` null: the operator, who sees all; so do the consumer and the sweepers. `user_id` null: nobody acts. */
export type Scope = { tenant_id: string | null; user_id: string | null };

/** What works for all tenants and on nobody's behalf. */
export const system: Scope = { tenant_id: null, user_id: null };

/** Runs `work` in a transaction in which row-level security shows the scope's letters and no others. */
export function inScope<T>(pool: Pool, scope: Scope, work: (client: Client) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (client) => {
    await setScope(client, scope);
    return work(client);
  });
}

/** Makes the present transaction the scope's; ends with the transaction. */
async function setScope(client: Client, { tenant_id }: Scope): Promise<void> {
  await client.query({
    name: 'dead_letters_set_scope',
    text: `SELECT set_config('ragline.tenant_id', $1, true), set_config('ragline.scope', $2, true)`,
    values: [tenant_id ?? '', tenant_id === null ? 'operator' : ''],
  });
}
