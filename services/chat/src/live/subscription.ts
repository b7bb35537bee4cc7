/** What waits for one reader of a conversation: bounded, and taken one by one. */
import type { ShownEvent } from './event.ts';
import { isTold, lastOf, type Place } from './place.ts';
import { createSieve } from './sieve.ts';

/** Why a reader has to ask REST what it missed; then it goes on live. */
export type GapReason =
  /** What it missed is no longer kept. */
  | 'expired'
  /** Kafka lost, or somebody made anew, what it read. */
  | 'reset'
  /** The cursor is none of this conversation's. */
  | 'bad_cursor'
  /** What it missed cannot be read at the moment. */
  | 'unavailable';

export type Item =
  | { kind: 'event'; event: ShownEvent; place: Place }
  | { kind: 'gap'; reason: GapReason; place: Place | undefined };

/** What `take` gives beside an item: nothing came in time, or nothing will come any more, and why. */
export type Taken = Item | { kind: 'idle' } | { kind: 'closed'; reason: CloseReason };
export type CloseReason = 'closed' | 'tooSlow' | 'restart';

export type Address = { tenant_id: string; user_id: string; conversation_id: string };

export type Subscription = ReturnType<typeof createSubscription>;

type Waiting = { item: Item; bytes: number };

const itemBytes = 400;

/**
 * @param isWanted leaves out what the reader has no use for
 * @param bytesMax what may wait; beyond it the reader is let go, and comes back with its cursor
 */
export function createSubscription(
  address: Address,
  {
    isWanted,
    bytesMax,
    onClose,
    onGap,
  }: {
    isWanted: (event: ShownEvent) => boolean;
    bytesMax: number;
    onClose: () => void;
    onGap?: (reason: GapReason) => void;
  },
) {
  const sieve = createSieve();
  const queue: Waiting[] = [];
  // What came live while older records are read again.
  let held: Waiting[] | undefined;
  let bytes = 0;
  let closed: CloseReason | undefined;
  let wake: (() => void) | undefined;
  // Where the reader begins, and what it has taken.
  let origin: Place | undefined;
  let taken: Place | undefined;

  function close(reason: CloseReason): void {
    if (closed !== undefined) return;
    closed = reason;
    queue.length = 0;
    held = undefined;
    onClose();
    wake?.();
  }

  function put(to: Waiting[], item: Item, size: number): void {
    if (closed !== undefined) return;
    bytes += size;
    if (bytes > bytesMax) {
      close('tooSlow');
      return;
    }
    to.push({ item, bytes: size });
    if (to === queue) wake?.();
  }

  function admits(event: ShownEvent): boolean {
    const { tenant_id, user_id } = event;
    if (tenant_id !== address.tenant_id || user_id !== address.user_id) return false;
    return isWanted(event);
  }

  const isFresh = (event: ShownEvent) =>
    (origin === undefined || !isTold(event, origin)) && sieve.isNew(event);

  return {
    address,
    isClosed: (): boolean => closed !== undefined,
    /** Where the reader begins; the marks in it keep out what it was told before. */
    begin(place: Place): void {
      origin = place;
      taken = place;
    },
    /** From now on what comes live is held back, until `caughtUp`. */
    holdBack(): void {
      held ??= [];
    },
    /** An event as it came, with the bytes it takes. */
    live(event: ShownEvent, at: { epoch: number; next: number }, size: number): void {
      if (closed !== undefined || !admits(event)) return;
      // Another instance, which had read further, told it before.
      if (origin !== undefined && at.epoch === origin.epoch && at.next <= origin.next) return;
      // Sifted when its turn comes: what is read again comes before it.
      if (held === undefined && !isFresh(event)) return;
      put(held ?? queue, { kind: 'event', event, place: { ...at, last: lastOf(event) } }, size + itemBytes);
    },
    /** An event that was read again. */
    again(event: ShownEvent, at: { epoch: number; next: number }, size: number): void {
      if (closed !== undefined || !admits(event) || !isFresh(event)) return;
      put(queue, { kind: 'event', event, place: { ...at, last: lastOf(event) } }, size + itemBytes);
    },
    gap(reason: GapReason, place: Place | undefined): void {
      if (closed === undefined) onGap?.(reason);
      put(queue, { kind: 'gap', reason, place }, itemBytes);
    },
    /** All that was missed is in the queue: what was held back follows. */
    caughtUp(): void {
      const after = held ?? [];
      held = undefined;
      for (const waiting of after) {
        bytes -= waiting.bytes;
        const { item } = waiting;
        if (item.kind !== 'event' || isFresh(item.event)) put(queue, item, waiting.bytes);
      }
    },
    /** Whether so little waits that more may be read. What is held back waits for just that. */
    hasRoom: (): boolean => queue.length === 0 || bytes < bytesMax / 2,
    isCatchingUp: (): boolean => held !== undefined,
    isEmpty: (): boolean => queue.length === 0 && held === undefined,
    taken: (): Place | undefined => taken,

    /** The next item; `idle` when none came in time or the signal was aborted. One caller at a time. */
    async take(waitMs: number, signal?: AbortSignal): Promise<Taken> {
      if (queue.length === 0 && closed === undefined && signal?.aborted !== true) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const onAbort = () => resolve();
        const timer = setTimeout(resolve, waitMs);
        signal?.addEventListener('abort', onAbort);
        wake = resolve;
        await promise;
        wake = undefined;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      }
      if (closed !== undefined) return { kind: 'closed', reason: closed };
      const next = queue.shift();
      if (next === undefined) return { kind: 'idle' };
      bytes -= next.bytes;
      taken = next.item.place ?? taken;
      return next.item;
    },
    close,
  };
}
