/**
 * Records that end the process, counted across restarts without a query for any other record.
 *
 * Each run over a partition is noted, and its end. After one without an end, what it may have been handling is
 * noted before it starts, one by one and in no batch; what was noted in the run before starts alone in its process;
 * and what would start a fourth time is given up as `crashed`.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from '@ragline/runtime/logger';
import type pg from 'pg';
import { PermanentError } from '../errors.ts';
import type { Work } from '../task.ts';
import { type Alone, createAlone } from './alone.ts';

/** The part of streams.* that this needs. */
export type RunStore = {
  begin(place: RunPlace, runId: string): Promise<{ unclean: number; begun: Map<bigint, number> }>;
  /** Whether the run before has come to a clean end after all, later than this one began. */
  endedLate(place: RunPlace, runId: string): Promise<boolean>;
  end(place: RunPlace, runId: string): Promise<void>;
  start(place: RunPlace, runId: string, offset: bigint): Promise<void>;
  finish(place: RunPlace, offset: bigint): Promise<void>;
};

export type RunPlace = { topic: string; partition: number };

export type CrashesOptions = {
  store: RunStore;
  /** Where the group has committed, and where the log ends; asked after an unclean run only. */
  bounds(place: RunPlace): Promise<{ committed: bigint | undefined; end: bigint | undefined }>;
  /**
   * What becomes of a record that has ended the process three times. wait: it stands in its lane and is started once
   * more when the run is an hour old: where nothing is given up, one death an hour in place of one after another.
   */
  whenCrashed: 'give-up' | 'wait';
  groupId: string;
  log: Logger;
  now?: () => number;
};

export type RunNotes<E> = {
  /** Notes the run, unless it is closed by then; after an error it is opened again. */
  open(): Promise<void>;
  guard(work: Work<E>): Work<E>;
  /** The record is put aside, and that is stored: what was counted of it is cleared. */
  settled(offset: bigint): Promise<void>;
  /** Another member has the partition, without our having been asked: that is no clean end. */
  lost(): void;
  /** Notes the run's end, if its beginning was noted. */
  close(): Promise<void>;
};

export const crashedCode = 'crashed';

const startsMax = 3;
const onceMoreAfterMs = 3_600_000;
// A partition has at most 4,000 records open at once, and commits a few times a second.
const reach = 5_000n;
const askAgainMs = 1_000;
const askTimes = 20;

export function createCrashes(options: CrashesOptions) {
  const { store, bounds, whenCrashed, groupId, log, now = Date.now } = options;
  // Over all partitions: a record of another one may be who ends the process.
  const { alone, together }: Alone = createAlone();

  /** @param offsetOf of the record in the run's own topic */
  function notesOf<E>(place: RunPlace, offsetOf: (event: E) => bigint): RunNotes<E> {
    const runId = randomUUID();
    let begun = new Map<bigint, number>();
    let until: bigint | undefined;
    let asking: NodeJS.Timeout | undefined;
    // A begin that was sent, whatever came of it.
    let opening: Promise<void> | undefined;
    let openedAt = now();
    let isLost = false;
    const unfinished = new Set<Promise<void>>();
    let closed: Promise<void> | undefined;

    const isSuspect = (offset: bigint) => (until !== undefined && offset < until) || begun.has(offset);

    function open(): Promise<void> {
      if (closed !== undefined) return Promise.resolve();
      opening = begin();
      return opening;
    }

    async function begin(): Promise<void> {
      openedAt = now();
      const run = await store.begin(place, runId);
      begun = run.begun;
      if (run.unclean === 0) return;
      const { committed, end } = await bounds(place);
      const reached = committed === undefined ? end : committed + reach;
      until = reached !== undefined && end !== undefined && end < reached ? end : reached;
      const where = {
        group: groupId,
        ...place,
        unclean: run.unclean,
        until: String(until),
        begun: begun.size,
      };
      log.warn('the last run over a partition did not end: its records are noted before they start', where);
      askLater(askTimes);
    }

    /** In a rebalance the run before ends a moment after this one has begun. */
    function askLater(times: number): void {
      if (times === 0 || closed) return;
      asking = setTimeout(async () => {
        const ended = await store.endedLate(place, runId).catch(() => false);
        if (ended) until = undefined;
        else askLater(times - 1);
      }, askAgainMs);
    }

    async function noted(
      offset: bigint,
      signal: AbortSignal,
      handle: () => Promise<string>,
    ): Promise<string> {
      const starts = begun.get(offset) ?? 1;
      if (starts >= startsMax && (whenCrashed === 'give-up' || now() - openedAt < onceMoreAfterMs)) {
        // Its count stays until the letter is stored: else it would be started anew if that fails.
        throw new PermanentError(
          crashedCode,
          `The process ended ${starts} times while it handled this record`,
        );
      }
      const start = async () => {
        signal.throwIfAborted();
        await store.start(place, runId, offset);
        try {
          return await handle();
        } finally {
          await settled(offset);
        }
      };
      return begun.has(offset) ? alone(start) : together(start);
    }

    async function settled(offset: bigint): Promise<void> {
      begun.delete(offset);
      const finishing = store.finish(place, offset).catch((error: unknown) => {
        // What this run has noted is cleared with it; another run's note is forgotten after a day.
        log.warn('a record stays noted', { group: groupId, ...place, offset: String(offset), error });
      });
      unfinished.add(finishing);
      await finishing.finally(() => unfinished.delete(finishing));
    }

    async function end(): Promise<void> {
      await opening?.catch(() => {});
      await Promise.all(unfinished);
      clearTimeout(asking);
      if (opening === undefined || isLost) return;
      await store.end(place, runId).catch((error: unknown) => {
        log.warn('the end of a run was not noted', { group: groupId, ...place, error });
      });
    }

    return {
      open,
      guard: ({ admit, identityOf, one, many }) => ({
        admit,
        identityOf,
        async one(event, attempt) {
          const { signal } = attempt;
          const offset = offsetOf(event);
          const handle = () => {
            // It may have waited for another to be alone, and its assignment be over since.
            signal.throwIfAborted();
            return one(event, attempt);
          };
          return isSuspect(offset) ? noted(offset, signal, handle) : together(handle);
        },
        many:
          many &&
          (async (events, attempt) => {
            if (events.some((event) => isSuspect(offsetOf(event)))) {
              throw new Error('The last run did not end: each record is handled by itself');
            }
            return together(() => {
              attempt.signal.throwIfAborted();
              return many(events, attempt);
            });
          }),
      }),
      settled: async (offset) => {
        if (begun.has(offset)) await settled(offset);
      },
      lost() {
        isLost = true;
      },
      close() {
        clearTimeout(asking);
        closed ??= end();
        return closed;
      },
    };
  }

  return { notesOf };
}

/** streams.run and streams.started, by their functions. */
export function postgresRuns(pool: pg.Pool, groupId: string): RunStore {
  const at = ({ topic, partition }: RunPlace) => [groupId, topic, partition];
  return {
    async begin(place, runId) {
      const { rows } = await pool.query<{ unclean: number; offsets: unknown[]; starts: number[] }>({
        name: 'ragline_begin_run',
        text: 'SELECT unclean, offsets, starts FROM streams.begin_run($1, $2, $3, $4)',
        values: [...at(place), runId],
      });
      const { unclean = 0, offsets = [], starts = [] } = rows[0] ?? {};
      const begun = offsets.map((offset, i) => [BigInt(String(offset)), starts[i] ?? 1] as const);
      return { unclean, begun: new Map(begun) };
    },
    async endedLate(place, runId) {
      const { rows } = await pool.query<{ ended: boolean }>({
        name: 'ragline_run_before_ended',
        text: 'SELECT streams.run_before_ended($1, $2, $3, $4) AS ended',
        values: [...at(place), runId],
      });
      return rows[0]?.ended === true;
    },
    async end(place, runId) {
      await pool.query({
        name: 'ragline_end_run',
        text: 'SELECT streams.end_run($1, $2, $3, $4)',
        values: [...at(place), runId],
      });
    },
    async start(place, runId, offset) {
      await pool.query({
        name: 'ragline_start_record',
        text: 'SELECT streams.start_record($1, $2, $3, $4, $5)',
        values: [...at(place), String(offset), runId],
      });
    },
    async finish(place, offset) {
      await pool.query({
        name: 'ragline_finish_record',
        text: 'SELECT streams.finish_record($1, $2, $3, $4)',
        values: [...at(place), String(offset)],
      });
    },
  };
}
