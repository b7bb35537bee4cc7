/**
 * Budgets: how many tokens a tenant and a user may use on one day (UTC).
 *
 * Asking takes a hold for what the answer is expected to use, in the transaction that asks; finishing turns it into what
 * was used, in the transaction that keeps the answer. So a budget is passed by what the answers under way use beyond their
 * holds, however many are asked for at a time, and a death in between leaves a hold that ends by itself
 * (docs/decisions/0131).
 */
import type { Client, Pool } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import type { Usage } from './domain.ts';

/** Tokens a day, questions and answers together; 0: as many as one likes. */
export type BudgetLimits = { tenantTokens: number; userTokens: number };

type Owner = { tenant_id: string; user_id: string };

export type Budgets = ReturnType<typeof createBudgets>;

// What a question takes at most, as a rule: all that a model is shown, and its answer.
const turnTokens = 16_000;
// Longer than any answer: one that waits is begun within a quarter of an hour, or never.
const holdMs = 1_800_000;
// Below this share of a budget nobody waits for anybody.
const narrowShare = 0.8;

export function createBudgets(limits: BudgetLimits, now: () => Date = () => new Date()) {
  const isLimited = limits.tenantTokens > 0 || limits.userTokens > 0;

  async function usedBy(client: Client, { tenant_id, user_id }: Owner): Promise<Used> {
    const { rows } = await client.query<Used>({
      name: 'chat_budget_used',
      text: `SELECT coalesce(sum(tokens), 0)::float8 AS tenant,
                    coalesce(sum(tokens) FILTER (WHERE user_id = $2), 0)::float8 AS "user"
               FROM (SELECT user_id, input_tokens + output_tokens AS tokens FROM chat.token_budget
                      WHERE tenant_id = $1 AND day = $3
                      UNION ALL
                     SELECT user_id, tokens FROM chat.token_hold WHERE tenant_id = $1 AND expires_at > now()) used`,
      values: [tenant_id, user_id, dayOf(now())],
    });
    return rows[0] ?? { tenant: 0, user: 0 };
  }

  /** Where there is little left, those who ask at the same moment ask one after another. */
  async function usedInTurn(client: Client, owner: Owner, tokens: number): Promise<Used> {
    const used = await usedBy(client, owner);
    const scope = narrowScope({ tenant: used.tenant + tokens, user: used.user + tokens }, limits);
    if (scope === undefined) return used;
    const name = scope === 'tenant' ? owner.tenant_id : `${owner.tenant_id}/${owner.user_id}`;
    await client.query({
      name: 'chat_budget_lock',
      text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
      values: [`ragline.chat.budget/${name}`],
    });
    return usedBy(client, owner);
  }

  return {
    /**
     * Takes a hold for an answer, in the caller's transaction.
     *
     * Throws a problem `budget_exhausted`, with the seconds until midnight UTC, when nothing is left.
     *
     * @param id of the answer to be, as `spend` names it again
     */
    async hold(client: Client, owner: Owner, id: string, tokens = turnTokens): Promise<void> {
      if (!isLimited) return;
      const exhausted = exhaustedScope(await usedInTurn(client, owner, tokens), limits);
      if (exhausted !== undefined) throw budgetExhausted(exhausted, now());
      await client.query({
        name: 'chat_budget_hold',
        text: `INSERT INTO chat.token_hold (id, tenant_id, user_id, tokens, expires_at)
               VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) ON CONFLICT (id) DO NOTHING`,
        values: [id, owner.tenant_id, owner.user_id, tokens, holdMs / 1_000],
      });
    },

    /** Books what an answer has used and ends its hold, in the transaction that keeps the answer. */
    async spend(
      client: Client,
      { id, tenant_id, user_id }: Owner & { id: string },
      usage: Usage,
    ): Promise<void> {
      await client.query({
        name: 'chat_budget_spend',
        text: `WITH held AS (DELETE FROM chat.token_hold WHERE tenant_id = $1 AND id = $6)
               INSERT INTO chat.token_budget AS b (tenant_id, user_id, day, input_tokens, output_tokens)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (tenant_id, day, user_id) DO UPDATE
                 SET input_tokens = b.input_tokens + excluded.input_tokens,
                     output_tokens = b.output_tokens + excluded.output_tokens`,
        values: [tenant_id, user_id, dayOf(now()), usage.input_tokens, usage.output_tokens, id],
      });
    },
  };
}

/** Tokens used and held today. */
export type Used = { tenant: number; user: number };
type Scope = 'tenant' | 'user';

export function exhaustedScope(used: Used, { tenantTokens, userTokens }: BudgetLimits): Scope | undefined {
  if (userTokens > 0 && used.user >= userTokens) return 'user';
  return tenantTokens > 0 && used.tenant >= tenantTokens ? 'tenant' : undefined;
}

/** Whose budget is, with what is asked for, so nearly used up that asking has to be done one after another; the wider scope covers the other. */
export function narrowScope(used: Used, { tenantTokens, userTokens }: BudgetLimits): Scope | undefined {
  if (tenantTokens > 0 && used.tenant >= tenantTokens * narrowShare) return 'tenant';
  return userTokens > 0 && used.user >= userTokens * narrowShare ? 'user' : undefined;
}

function budgetExhausted(scope: Scope, at: Date) {
  const whose = scope === 'user' ? 'Your' : 'Your organisation’s';
  return problem(
    'budget_exhausted',
    `${whose} tokens of today are used up; there are new ones at midnight UTC.`,
    {
      headers: { 'retry-after': String(secondsToMidnight(at)) },
    },
  );
}

/** At least one. */
export function secondsToMidnight(at: Date): number {
  const midnight = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + 1);
  return Math.ceil((midnight - at.getTime()) / 1_000);
}

const dayOf = (at: Date) => at.toISOString().slice(0, 10);

/** Forgets days long over and holds whose time is up, of all tenants. */
export async function pruneBudgets(pool: Pool): Promise<void> {
  await pool.query('SELECT chat.prune_budgets()');
}
