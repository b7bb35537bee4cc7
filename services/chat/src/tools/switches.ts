/** Which tools a tenant has switched off. A tool that was never switched is on. */
import { inTenant, type Pool } from '@ragline/postgres/pool';

/** Read at each call: a switch holds at once, on every instance. */
export async function disabledTools(pool: Pool, tenantId: string): Promise<Set<string>> {
  const settings = await toolSettings(pool, tenantId);
  return new Set([...settings.values()].filter(({ enabled }) => !enabled).map(({ tool }) => tool));
}

export type ToolSetting = { tool: string; enabled: boolean; updated_at: Date };

/** By tool; only what was switched at some time. */
export async function toolSettings(pool: Pool, tenantId: string): Promise<Map<string, ToolSetting>> {
  const { rows } = await inTenant(pool, tenantId, (client) =>
    client.query<ToolSetting>({
      name: 'chat_tool_settings',
      text: 'SELECT tool, enabled, updated_at FROM chat.tool_setting WHERE tenant_id = $1',
      values: [tenantId],
    }),
  );
  return new Map(rows.map((row) => [row.tool, row]));
}

export async function switchTool(
  pool: Pool,
  { tenant_id, user_id }: { tenant_id: string; user_id: string },
  tool: string,
  enabled: boolean,
): Promise<ToolSetting> {
  const { rows } = await inTenant(pool, tenant_id, (client) =>
    client.query<ToolSetting>(
      `INSERT INTO chat.tool_setting (tenant_id, tool, enabled, updated_by) VALUES ($1, $2, $3, $4)
       ON CONFLICT (tenant_id, tool) DO UPDATE
         SET enabled = excluded.enabled, updated_by = excluded.updated_by, updated_at = clock_timestamp()
       RETURNING tool, enabled, updated_at`,
      [tenant_id, tool, enabled, user_id],
    ),
  );
  const [row] = rows;
  if (row === undefined) throw new Error('A switch was written and is not there');
  return row;
}
