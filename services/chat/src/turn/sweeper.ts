/**
 * Ends turns that nobody will: their record was lost, or is a dead letter, or the process died three times over it.
 * So no reader waits for ever. Every instance looks; the row decides who it is.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Publisher } from './events.ts';
import type { Stale, TurnStore } from './store.ts';
import type { WorkerParts } from './worker.ts';

export type SweeperParts = {
  store: Pick<TurnStore, 'stale' | 'giveUp'>;
  publisher: Pick<Publisher, 'end'>;
  /** Books that nothing was used, which ends what was held for the turn, in the transaction that gives it up. */
  spend?: WorkerParts['spend'];
  /** How long a turn may wait to be begun, and run. */
  limits: { requestedMs: number; runningMs: number };
  log: Logger;
};

const everyMs = 30_000;
const tellMs = 10_000;

/** One round; how many turns it ended. */
export async function sweep(parts: SweeperParts): Promise<number> {
  const { store, limits, log } = parts;
  let ended = 0;
  for (const stale of await store.stale(limits)) {
    const isEnded = await giveUp(parts, stale, limits, 'expired');
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
  const turn = { id: event.value.turn_id, tenant_id: event.value.tenant_id };
  try {
    await giveUp(parts, turn, { requestedMs: 0, runningMs: 0 }, 'internal_error');
  } catch (error) {
    parts.log.warn('a turn whose record is a dead letter was not ended', { turn_id: turn.id, error });
  }
}

/** False when it was not stale any more. */
function giveUp(
  { store, publisher, spend }: SweeperParts,
  stale: Stale,
  limits: SweeperParts['limits'],
  code: 'expired' | 'internal_error',
): Promise<boolean> {
  return store.giveUp(stale, limits, code, async (turn, message, client) => {
    if (turn.kind === 'answer') await spend?.(client, turn, { input_tokens: 0, output_tokens: 0 });
    const end = { event_type: 'message_failed', message, code } as const;
    await publisher.end(turn, 1, end, AbortSignal.timeout(tellMs));
  });
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
