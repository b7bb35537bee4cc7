/** The application's part: handlers that fail as often as their records' content says, and in several ways. */
import { PermanentError, UnavailableError } from '../errors.ts';
import type { Attempt, BatchAttempt } from '../task.ts';
import type { Tx } from './database.ts';
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';
import type { Truth } from './truth.ts';

export type Event = { p: number; place: number; event_id: string };

export type HandlerOptions = {
  scheduler: Scheduler;
  random: Random;
  truth: Truth;
  /** How likely an attempt fails with this content, 0 to 1. */
  temper: Map<string, number>;
  /** Whether anything fails at present. */
  mayFail(): boolean;
  /** The transaction behind what the runner hands to effects. */
  txOf(client: object): Tx;
  count(what: string): void;
  say(...words: unknown[]): void;
};

export function createHandlers(actor: Actor, options: HandlerOptions) {
  const { scheduler, random, truth, temper, mayFail, txOf, count, say } = options;

  function maybeFail(event_id: string): void {
    if (!mayFail() || !random.chance(temper.get(event_id) ?? 0)) return;
    count('handler failures');
    if (random.chance(0.1)) throw new UnavailableError('a dependency is away');
    if (random.chance(0.1)) throw new PermanentError('refused', 'it will never do');
    throw new Error('failed');
  }

  async function effect(client: object, { p, place, event_id }: Event): Promise<void> {
    const tx = txOf(client);
    truth.attempted(p, place, event_id, scheduler.now());
    for (let statements = random.int(3); statements >= 0; statements -= 1) {
      await scheduler.turn(actor);
      if (tx.dead) throw Object.assign(new Error('terminating connection'), { code: '57P05' });
    }
    maybeFail(event_id);
    tx.writes.push(() => {
      say('effect', event_id, 'by', actor.name);
      truth.effect({ p, place, event_id, claimed: tx.claimed });
    });
  }

  /** What is asked of others comes before the transaction, and may fail there. */
  async function askOthers(event_id: string, signal: AbortSignal): Promise<void> {
    if (random.chance(0.7)) return;
    await scheduler.turn(actor);
    if (signal.aborted) throw signal.reason;
    if (random.chance(0.3)) maybeFail(event_id);
  }

  function maybeFailAfterwards(): void {
    if (!mayFail() || !random.chance(0.02)) return;
    count('failed after its commit');
    throw new Error('failed after its commit');
  }

  return {
    async one(event: Event, { signal, once }: Attempt): Promise<string> {
      await askOthers(event.event_id, signal);
      await once((client) => effect(client, event));
      maybeFailAfterwards();
      return 'handled';
    },
    async many(events: readonly Event[], { signal, once }: BatchAttempt): Promise<readonly string[]> {
      await askOthers(events[0]?.event_id ?? '', signal);
      await once(async (client, fresh) => {
        for (const event of events) if (fresh.has(event.event_id)) await effect(client, event);
      });
      maybeFailAfterwards();
      return events.map(() => 'handled');
    },
  };
}
