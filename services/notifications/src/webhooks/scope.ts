/** Whose webhooks a transaction sees. */
import type { Client } from '@ragline/postgres/pool';

/** Shows the rows of all tenants until the transaction ends: for what works for all of them, on nobody's behalf. */
export async function seeAllTenants(client: Client): Promise<void> {
  await client.query({
    name: 'webhooks_all_tenants',
    text: "SELECT set_config('ragline.scope', 'operator', true)",
  });
}
