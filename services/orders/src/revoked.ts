/** Tokens that are void although they have not ended: identity tells, and this service refuses them within moments. */
import type { Logger } from '@ragline/runtime/logger';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { startTail } from '@ragline/streams/tail';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { Principal } from '@ragline/web/principal';
import { createRevocations, revocationFrom } from '@ragline/web/revocations';

export type Revoked = { isRevoked(principal: Principal): boolean; stop(): Promise<void> };

const pruneMs = 60_000;

/**
 * Begins to read at once. While Kafka is away nothing new is known and tokens are good until they end: placing orders does
 * not wait for it.
 */
export function followRevocations(options: {
  kafka: KafkaAccess;
  clientId: string;
  codec: Pick<Codec, 'decode'>;
  log: Logger;
}): Revoked {
  const { kafka, clientId, codec, log } = options;
  const revocations = createRevocations({ now: Date.now });

  async function take(value: Buffer): Promise<void> {
    try {
      const revocation = revocationFrom((await codec.decode(value)).value);
      if (revocation !== undefined) revocations.add(revocation);
    } catch (error) {
      log.warn('revocation not read', { error });
    }
  }

  const tail = startTail({
    client: createTailClient({ kafka, clientId: `${clientId}-revocations` }),
    topics: [{ name: topics.revocations.name, from: 'beginning' }],
    sink: {
      opened() {},
      moved() {},
      async batch(partitions) {
        for (const { records } of partitions) {
          for (const { value } of records) if (value !== null) await take(value);
        }
      },
    },
    log,
  });
  const timer = setInterval(() => revocations.prune(), pruneMs);

  return {
    isRevoked: revocations.isRevoked,
    async stop() {
      clearInterval(timer);
      await tail.stop();
    },
  };
}
