/**
 * Ends turns that nobody will: their record was lost, or is a dead letter, or the process died three times over it.
 * So no reader waits for ever. Every instance looks; the row decides who it is.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Publisher } from './events.ts';
import type { TurnStore } from './store.ts';

export type SweeperParts = {
  store: Pick<TurnStore, 'stale' | 'giveUp'>;
  publisher: Pick<Publisher, 'end'>;
  /** How long a turn may wait to be begun, and run. */
  limits: { requestedMs: number; runningMs: number };
  log: Logger;
};

const everyMs = 30_000;
const tellMs = 10_000;

/** One round; how many turns it ended. */
export async function sweep({ store, publisher, limits, log }: SweeperParts): Promise<number> {
  let ended = 0;
  for (const stale of await store.stale(limits)) {
    const isEnded = await store.giveUp(stale, limits, 'expired', (turn, message) =>
      publisher.end(
        turn,
        1,
        { event_type: 'message_failed', message, code: 'expired' },
        AbortSignal.timeout(tellMs),
      ),
    );
    if (!isEnded) continue;
    ended += 1;
    log.warn('turn given up: nobody came back to it', { turn_id: stale.id, tenant_id: stale.tenant_id });
  }
  return ended;
}

/**
 * Ends a turn whose record has just become a dead letter, if it is open still; a replay of the letter runs it again.
 * Never throws: the next round of the sweeper comes.
 */
export async function endDeadTurn(parts: SweeperParts, event: DecodedEvent | undefined): Promise<void> {
  if (event?.schema !== 'chat_request_v1' || event.value.event_type === 'stop_requested') return;
  const { store, publisher, log } = parts;
  const turn = { id: event.value.turn_id, tenant_id: event.value.tenant_id };
  const code = 'internal_error';
  try {
    await store.giveUp(turn, { requestedMs: 0, runningMs: 0 }, code, (given, message) =>
      publisher.end(given, 1, { event_type: 'message_failed', message, code }, AbortSignal.timeout(tellMs)),
    );
  } catch (error) {
    log.warn('a turn whose record is a dead letter was not ended', { turn_id: turn.id, error });
  }
}

export function startSweeper(parts: SweeperParts): { stop(): Promise<void> } {
  let sweeping: Promise<unknown> | undefined;
  const timer = setInterval(
    () => {
      sweeping ??= sweep(parts)
        .catch((error: unknown) => parts.log.warn('turns were not swept', { error }))
        .finally(() => {
          sweeping = undefined;
        });
    },
    everyMs * (0.9 + 0.2 * Math.random()),
  );
  return {
    async stop() {
      clearInterval(timer);
      await sweeping;
    },
  };
}
