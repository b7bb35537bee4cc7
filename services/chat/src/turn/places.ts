/**
 * Places: how many answers of a user, and of a tenant, may wait or be made at a time, on all instances together. A turn
 * has its place by being open; a completion, which has no turn, takes one for as long as it lasts (docs/decisions/0180).
 */
import type { Client } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';

/** Of a tenant, and of one user of it. */
export type OpenTurnLimits = { openTurnsMax: number; openTurnsOfUserMax?: number };

type Owner = { tenant_id: string; user_id: string };

/** Throws a problem `rate_limited` when all places are taken (a few more can slip through side by side). */
export async function requirePlace(
  client: Client,
  { tenant_id, user_id }: Owner,
  { openTurnsMax, openTurnsOfUserMax = openTurnsMax }: OpenTurnLimits,
): Promise<void> {
  const { rows } = await client.query<{ user_id: string }>({
    name: 'chat_open_turns',
    text: `SELECT user_id FROM chat.turn WHERE tenant_id = $1 AND state IN ('requested', 'running')
           UNION ALL
           SELECT user_id FROM chat.open_completion WHERE tenant_id = $1 AND until > now()
           LIMIT $2`,
    values: [tenant_id, openTurnsMax],
  });
  const own = rows.filter((it) => it.user_id === user_id).length;
  if (rows.length < openTurnsMax && own < openTurnsOfUserMax) return;
  throw problem('rate_limited', 'Too many questions wait for an answer.', {
    headers: { 'retry-after': '2' },
  });
}

export type Places = ReturnType<typeof createPlaces>;

/** Those of completions. */
export function createPlaces(limits: OpenTurnLimits) {
  return {
    /**
     * Takes a place in the caller's transaction; throws a problem `rate_limited` when there is none.
     *
     * @param id as `leave` names it again
     * @param forMs after which it is free again, whatever became of its owner
     */
    async take(client: Client, owner: Owner, { id, forMs }: { id: string; forMs: number }): Promise<void> {
      await requirePlace(client, owner, limits);
      await client.query({
        name: 'chat_place_take',
        text: `INSERT INTO chat.open_completion (id, tenant_id, user_id, until)
               VALUES ($1, $2, $3, now() + make_interval(secs => $4))`,
        values: [id, owner.tenant_id, owner.user_id, forMs / 1_000],
      });
    },

    async leave(client: Client, { id, tenant_id }: { id: string; tenant_id: string }): Promise<void> {
      await client.query({
        name: 'chat_place_leave',
        text: 'DELETE FROM chat.open_completion WHERE tenant_id = $1 AND id = $2',
        values: [tenant_id, id],
      });
    },
  };
}
