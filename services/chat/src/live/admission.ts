/** Who reads here at the moment, and until when: no longer than the token lasts, and not past its revocation. */
import type { Logger } from '@ragline/runtime/logger';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { startTail, type TailStatus } from '@ragline/streams/tail';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { createRevocations, revocationFrom, revokes } from '@ragline/web/revocations';

export type Admission = ReturnType<typeof startAdmission>;

/** Streams and sockets that are open on this instance, and those of a user that are being brought up to date. */
export type Quotas = { perUser: number; perTenant: number; resumesPerUser?: number };

type Reader = { principal: Principal; end: () => void; timer: NodeJS.Timeout };

const pruneMs = 60_000;
const sweepMs = 1_000;

/** Begins to read the revocations at once, from their beginning. */
export function startAdmission(options: {
  kafka: KafkaAccess;
  clientId: string;
  codec: Pick<Codec, 'decode'>;
  quotas: Quotas;
  log: Logger;
  /** Whether the key that signed a reader's token was taken back. */
  isWithdrawn?: ((principal: Principal) => boolean) | undefined;
  /** identity.revocations.v1, unless a test has its own. */
  topic?: string;
}) {
  const { kafka, clientId, codec, quotas, log, isWithdrawn, topic = topics.revocations.name } = options;
  const revocations = createRevocations({ now: Date.now });
  const byTenant = new Map<string, Map<string, Set<Reader>>>();

  async function revoke(value: Buffer): Promise<void> {
    let revocation: ReturnType<typeof revocationFrom>;
    try {
      revocation = revocationFrom((await codec.decode(value)).value);
    } catch (error) {
      log.warn('revocation not read', { error });
    }
    if (revocation === undefined) return;
    revocations.add(revocation);
    const { tenant_id, user_id } = revocation;
    for (const reader of [...(byTenant.get(tenant_id)?.get(user_id) ?? [])]) {
      if (revokes(revocation, reader.principal)) reader.end();
    }
  }

  const tail = startTail({
    client: createTailClient({ kafka, clientId: `${clientId}-revocations` }),
    topics: [{ name: topic, from: 'beginning' }],
    sink: {
      opened() {},
      moved() {},
      async batch(partitions) {
        for (const { records } of partitions) {
          for (const { value } of records) if (value !== null) await revoke(value);
        }
      },
    },
    log,
  });
  const timer = setInterval(() => revocations.prune(), pruneMs);
  const sweeping = setInterval(endWithdrawn, sweepMs);

  function endWithdrawn(): void {
    if (isWithdrawn === undefined) return;
    const readers = [...byTenant.values()].flatMap((users) => [...users.values()].flatMap((own) => [...own]));
    for (const { principal, end } of readers) if (isWithdrawn(principal)) end();
  }

  function requireRoom({ tenant_id, user_id }: Principal): void {
    const users = byTenant.get(tenant_id);
    const ofTenant = [...(users?.values() ?? [])].reduce((sum, { size }) => sum + size, 0);
    const ofUser = users?.get(user_id)?.size ?? 0;
    if (ofUser < quotas.perUser && ofTenant < quotas.perTenant) return;
    throw problem('rate_limited', 'Too many answers are being read.', { headers: { 'retry-after': '5' } });
  }

  function requireRights(principal: Principal): void {
    if (principal.expires_at <= Date.now() || revocations.isRevoked(principal))
      throw problem('unauthenticated');
  }

  return {
    status: (): TailStatus => tail.status(),
    isRevoked: revocations.isRevoked,
    /** Throws a problem `unauthenticated` when the token is over or revoked. */
    requireRights,

    /** Throws what `enter` would: before something is done that cannot be taken back. */
    check(principal: Principal): void {
      requireRights(principal);
      requireRoom(principal);
    },

    /**
     * Lets a reader in. Throws problems: `unauthenticated` when its token is over or revoked, `rate_limited`.
     *
     * @param end called when its rights end, once at most
     */
    enter(principal: Principal, end: () => void): { leave(): void } {
      requireRights(principal);
      requireRoom(principal);
      const leftMs = Math.max(0, principal.expires_at - Date.now());
      const { tenant_id, user_id } = principal;
      const users = byTenant.get(tenant_id) ?? new Map<string, Set<Reader>>();
      const own = users.get(user_id) ?? new Set<Reader>();
      const reader: Reader = { principal, end, timer: setTimeout(end, Math.min(leftMs, 2 ** 31 - 1)) };
      byTenant.set(tenant_id, users.set(user_id, own.add(reader)));
      return {
        leave() {
          clearTimeout(reader.timer);
          if (!own.delete(reader) || own.size > 0) return;
          if (users.get(user_id) === own) users.delete(user_id);
          if (users.size === 0 && byTenant.get(tenant_id) === users) byTenant.delete(tenant_id);
        },
      };
    },

    async stop(): Promise<void> {
      clearInterval(timer);
      clearInterval(sweeping);
      await tail.stop();
    },
  };
}
