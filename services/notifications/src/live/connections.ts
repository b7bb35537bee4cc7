/** Connections: everyone who is connected now, by tenant, user and session; and what is due for them by the clock. */
import type { Principal } from '@ragline/web/auth';
import type { LiveCore } from './core.ts';
import type { ServerMessage } from './frames.ts';
import { type CloseReason, closeCodes } from './protocol.ts';
import type { Outlet, Subscription } from './subscription.ts';

export type Connection = {
  readonly id: string;
  readonly outlet: Outlet;
  principal: Principal;
  readonly subscriptions: Map<string, Subscription>;
  send(message: ServerMessage): void;
  /** Begins to close; nothing is written after it. */
  close(reason: CloseReason): void;
  /** Asks for a sign of life; absent where TCP alone must do. */
  ping?: () => void;
  /** Pings in a row without an answer. */
  unanswered: number;
  nextBeatAt: number;
  isWarned: boolean;
};

export type Quotas = { connectionsPerTenant: number; connectionsPerUser: number };
export const defaultQuotas: Quotas = { connectionsPerTenant: 20_000, connectionsPerUser: 1_000 };

export type Connections = ReturnType<typeof createConnections>;

const warnBeforeMs = 60_000;
const slowMs = 30_000;
const unansweredMax = 2;

export function createConnections(parts: {
  core: Pick<LiveCore, 'heartbeat' | 'drained' | 'unsubscribe'>;
  quotas: Quotas;
  heartbeatMs: number;
  now: () => number;
  slowMs?: number;
  /** Whether the key that signed a connection's token was taken back. */
  isWithdrawn?: ((principal: Principal) => boolean) | undefined;
}) {
  const { core, quotas, heartbeatMs, now } = parts;
  const all = new Set<Connection>();
  const byUser = new Map<string, Set<Connection>>();
  const perTenant = new Map<string, number>();
  const closes: Record<CloseReason, number> = {
    malformed: 0,
    unauthenticated: 0,
    noHeartbeat: 0,
    tooSlow: 0,
    tooMany: 0,
    restart: 0,
  };
  const userOf = ({ tenant_id, user_id }: { tenant_id: string; user_id: string }) =>
    `${tenant_id} ${user_id}`;

  function close(connection: Connection, reason: CloseReason): void {
    if (!connection.outlet.isOpen) return;
    closes[reason] += 1;
    connection.close(reason);
  }

  function beat(connection: Connection, at: number): void {
    connection.nextBeatAt = at + heartbeatMs;
    for (const subscription of connection.subscriptions.values()) core.heartbeat(subscription);
    if (connection.ping === undefined) return;
    // While it reads nothing our ping is stuck behind the events: being slow has its own limit.
    if (connection.outlet.blockedSince !== undefined) connection.unanswered = 0;
    if (connection.unanswered >= unansweredMax) close(connection, 'noHeartbeat');
    else {
      connection.unanswered += 1;
      connection.ping();
    }
  }

  return {
    all,
    closes,
    close,

    /** Whether one more fits. */
    hasRoom: (principal: Principal): boolean =>
      (perTenant.get(principal.tenant_id) ?? 0) < quotas.connectionsPerTenant &&
      (byUser.get(userOf(principal))?.size ?? 0) < quotas.connectionsPerUser,

    add(connection: Connection): void {
      const { principal } = connection;
      all.add(connection);
      // The first heartbeats of a storm are spread over the period.
      connection.nextBeatAt = now() + heartbeatMs * (0.5 + Math.random() / 2);
      perTenant.set(principal.tenant_id, (perTenant.get(principal.tenant_id) ?? 0) + 1);
      const own = byUser.get(userOf(principal));
      if (own === undefined) byUser.set(userOf(principal), new Set([connection]));
      else own.add(connection);
    },

    /** The connection is gone: nothing of it is kept. */
    remove(connection: Connection): void {
      connection.outlet.isOpen = false;
      if (!all.delete(connection)) return;
      const { principal } = connection;
      for (const subscription of connection.subscriptions.values()) core.unsubscribe(subscription);
      connection.subscriptions.clear();
      const left = (perTenant.get(principal.tenant_id) ?? 1) - 1;
      if (left > 0) perTenant.set(principal.tenant_id, left);
      else perTenant.delete(principal.tenant_id);
      const own = byUser.get(userOf(principal));
      own?.delete(connection);
      if (own?.size === 0) byUser.delete(userOf(principal));
    },

    /** Cuts those of one user that a revocation concerns. */
    cut(user: { tenant_id: string; user_id: string }, isConcerned: (principal: Principal) => boolean): void {
      for (const connection of byUser.get(userOf(user)) ?? []) {
        if (isConcerned(connection.principal)) close(connection, 'unauthenticated');
      }
    },

    /** What is due by the clock; called about once a second. */
    sweep(): void {
      const at = now();
      for (const connection of all) {
        const { outlet, principal } = connection;
        if (!outlet.isOpen) continue;
        if (principal.expires_at <= at || parts.isWithdrawn?.(principal))
          close(connection, 'unauthenticated');
        else if (outlet.blockedSince !== undefined && at - outlet.blockedSince > (parts.slowMs ?? slowMs)) {
          close(connection, 'tooSlow');
        } else {
          if (!connection.isWarned && principal.expires_at - at <= warnBeforeMs) {
            connection.isWarned = true;
            connection.send({ type: 'auth_expiring', in_ms: principal.expires_at - at });
          }
          if (at >= connection.nextBeatAt) beat(connection, at);
          // The event may have come before anybody waited for it.
          if (outlet.draining !== undefined && outlet.socket.writableLength === 0) core.drained(outlet);
        }
      }
    },

    counts(): { ws: number; sse: number } {
      const counts = { ws: 0, sse: 0 };
      for (const { outlet } of all) counts[outlet.format] += 1;
      return counts;
    },
  };
}

export function closeCodeOf(reason: CloseReason): number {
  return closeCodes[reason];
}
