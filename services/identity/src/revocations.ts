/** What is no longer valid, told to everyone who verifies tokens: identity.revocations.v1 through the outbox. */
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox } from '@ragline/postgres/outbox';
import type { Client } from '@ragline/postgres/pool';
import type { Metrics } from '@ragline/runtime/metrics';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { RevocationEvent } from '@ragline/schemas/types.generated';
import { problem } from '@ragline/web/problems';
import { accessTokenSeconds } from './access-tokens.ts';

export type RevocationReason = 'logout' | 'reuse' | 'deactivated' | 'password_changed' | 'roles_taken';

export type Revocation = {
  tenant_id: string;
  user_id: string;
  /** Null: every token of the user that was issued before occurred_at. */
  session_id: string | null;
  occurred_at: Date;
  reason: RevocationReason;
};

/** Appends the event in the caller's transaction: nothing is revoked without being told, and the reverse. */
export type Announce = (client: Client, revocation: Revocation) => Promise<void>;

// A verifier's clock may be behind ours by so much and it still remembers long enough.
const clockSkewMs = 60_000;

export type Revocations = ReturnType<typeof revocations>;

export function revocations({ codec, metrics }: { codec: Codec; metrics: Metrics }) {
  const counter = metrics.counter('ragline_revocations_total', 'Revocations written to the outbox.', [
    'reason',
  ]);
  let encode: ((value: RevocationEvent) => Buffer) | undefined;

  /** Looks the schema up, once; throws while the registry does not answer. */
  const lookUp = async () => {
    encode ??= await codec.encoder('revocation_v1');
    return encode;
  };

  /** Throws Problem `unavailable` while the schema was never looked up. */
  const ready = async (): Promise<Announce> => {
    const toBytes = await lookUp().catch((cause: unknown) => {
      throw problem('unavailable', 'Sessions cannot be ended at the moment.', { cause });
    });
    return async (client, { tenant_id, user_id, session_id, occurred_at, reason }) => {
      const event_id = randomUUIDv7();
      const event_type = session_id === null ? 'user_revoked' : 'session_revoked';
      const validUntil = new Date(occurred_at.getTime() + accessTokenSeconds * 1000 + clockSkewMs);
      const payload = toBytes({
        event_id,
        event_type,
        occurred_at: occurred_at.toISOString(),
        tenant_id,
        user_id,
        session_id,
        valid_until: validUntil.toISOString(),
      });
      await appendOutbox(client, 'identity', [
        {
          id: event_id,
          topic: topics.revocations.name,
          key: user_id,
          event_type,
          tenant_id,
          user_id,
          traceparent: currentTraceparent(),
          payload,
        },
      ]);
      counter.inc({ reason });
    };
  };

  return { lookUp, ready };
}
