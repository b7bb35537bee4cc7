/** Access tokens of users in whose name the assistant calls other services; identity makes them, for a minute. */
import { z } from 'zod';
import { OrdersError } from './orders-error.ts';

export type DelegatedTokens = ReturnType<typeof delegatedTokens>;

/** Given back this long before it ends: a call that has just begun still arrives with a valid one. */
const spareMs = 10_000;
const cachedMax = 5_000;

const answerShape = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });

export type DelegationOptions = {
  identityUrl: string;
  /** Shared with identity; sent to nobody else. */
  secret: string;
  timeoutMs: number;
  now?: () => number;
};

export function delegatedTokens({ identityUrl, secret, timeoutMs, now = Date.now }: DelegationOptions) {
  const url = new URL('/internal/v1/delegated-tokens', identityUrl);
  const cached = new Map<string, { token: string; untilMs: number }>();
  const underWay = new Map<string, Promise<string>>();

  async function ask(tenantId: string, userId: string): Promise<string> {
    const askedAt = now();
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ tenant_id: tenantId, user_id: userId }),
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    }).catch((cause: unknown) => {
      throw identityAway(cause);
    });
    if (response.status === 403 || response.status === 404) {
      await response.body?.cancel();
      throw new OrdersError('forbidden', 'This user may not act at the moment.', { status: 403 });
    }
    const answer = answerShape.safeParse(await response.json().catch(() => undefined));
    if (!response.ok || !answer.success)
      throw identityAway(new Error(`identity answered ${response.status}`));
    const { access_token: token, expires_in } = answer.data;
    keep(keyOf(tenantId, userId), { token, untilMs: askedAt + expires_in * 1_000 - spareMs });
    return token;
  }

  function keep(key: string, entry: { token: string; untilMs: number }): void {
    cached.delete(key);
    cached.set(key, entry);
    const [oldest] = cached.keys();
    if (cached.size > cachedMax && oldest !== undefined) cached.delete(oldest);
  }

  return {
    /**
     * A token of that user, from the cache while it lasts. `fresh` asks identity in any case: roles, and whether the
     * user may act at all, are then those of now.
     */
    async tokenOf(
      { tenant_id, user_id }: { tenant_id: string; user_id: string },
      { fresh = false } = {},
    ): Promise<string> {
      const key = keyOf(tenant_id, user_id);
      const known = cached.get(key);
      if (!fresh && known !== undefined && known.untilMs > now()) return known.token;
      const running = fresh ? undefined : underWay.get(key);
      if (running !== undefined) return running;
      const asking = ask(tenant_id, user_id).finally(() => {
        if (underWay.get(key) === asking) underWay.delete(key);
      });
      underWay.set(key, asking);
      return asking;
    },

    /** A service refused the user's token: the next call asks anew. */
    forget({ tenant_id, user_id }: { tenant_id: string; user_id: string }): void {
      cached.delete(keyOf(tenant_id, user_id));
    },
  };
}

const keyOf = (tenantId: string, userId: string) => `${tenantId}/${userId}`;

function identityAway(cause: unknown): OrdersError {
  return new OrdersError('orders_unavailable', 'The user could not be vouched for at the moment.', {
    retriable: true,
    cause,
  });
}
