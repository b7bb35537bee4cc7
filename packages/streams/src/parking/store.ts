/** What parking needs of Postgres, as a port: postgres-store.ts is the real one, a model drives the same owner with another. */
import type pg from 'pg';
import type { RawHeaders } from '../record.ts';

/** Another owner has raised the lease: everything of this assignment stops. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}

export type Place = { group_id: string; topic: string; partition: number };

/** One assignment's right to a partition. */
export type Lease = { place: Place; epoch: number };

/** A record as it is kept in a line. */
export type Parkable = {
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: RawHeaders;
  /** Milliseconds, as Kafka has it. */
  timestamp: number;
  /** null where the record's tenant is not believed: the operator alone sees it. */
  tenant_id: string | null;
  /** '' where the record is no event. */
  event_id: string;
  inbox_id: string;
};

/** The last failure, as the dead letter's headers tell it. Times are RFC 3339. */
export type ParkedError = {
  code: string;
  class: string;
  message: string;
  stack: string;
  attempt: number;
  not_before: string;
  failed_at: string;
};

/** What is booked on a head that failed. */
export type Verdict =
  | { kind: 'retry'; delayMs: number; error: ParkedError }
  /** skip: it leaves its place for a detached line of its own, and its followers go on. */
  | { kind: 'dead'; skip: boolean; error: ParkedError }
  /** Something is away: the same attempt again. */
  | { kind: 'again'; delayMs: number };

export type Caps = {
  /** Of one line, its head included. */
  lineRecords: number;
  lineBytes: number;
  /** Of all lines of the partition. */
  partitionRecords: number;
};

/** The head of a line that is due, or a record that is its head once those before it have left. */
export type Head = Parkable & {
  recordId: number;
  lineId: number;
  detached: boolean;
  /** Failures so far. */
  attempt: number;
  deaths: number;
  /** Milliseconds. */
  notBefore: number;
  firstFailedAt: number | undefined;
};

/** A dead record that Kafka has not been told of. */
export type Letter = Parkable & {
  recordId: number;
  deaths: number;
  error: ParkedError;
  /** Milliseconds. */
  firstFailedAt: number | undefined;
};

export type Queued = 'kept' | 'kept already' | 'gone' | 'full';

/** full: the partition has as many as it may. */
export type Parked =
  | { kind: 'parked'; lineId: number; detached: boolean }
  | { kind: 'handled' }
  | { kind: 'full' };

/**
 * The owner's steps of parking, each one transaction.
 *
 * All may throw Fenced, or any other error with an unknown outcome. All but `handle`, `attempt` and `attemptAll` are idempotent.
 */
export type ParkingStore<Tx = pg.PoolClient> = {
  /** A: raises the lease, then loads which keys (latin1) are parked, by line. */
  assign(place: Place, owner: string): Promise<{ lease: Lease; parked: Map<string, number> }>;
  /** M1: BEGIN, fence and claim of all ids, the effect with those that are fresh, COMMIT. */
  handle<T>(
    lease: Lease,
    ids: readonly string[],
    effect: (tx: Tx, fresh: ReadonlySet<string>) => Promise<T>,
  ): Promise<T>;
  /** P: the record becomes the head of a line; one without a key, or skipped, of a detached one. */
  park(
    lease: Lease,
    record: Parkable,
    firstFailedAt: number,
    verdict: Verdict,
    caps?: Pick<Caps, 'partitionRecords'>,
  ): Promise<Parked>;
  /** C: records of one key queue in its line, in their order; behind one that is refused no other is kept. */
  append(lease: Lease, records: readonly Parkable[], caps: Caps): Promise<Queued[]>;
  /** D1, without reading anything: is something due, is something unannounced? */
  look(lease: Lease): Promise<{ due: boolean; letters: boolean }>;
  /** D1: heads of lines that are due, each with some of its followers behind it, in order. */
  due(lease: Lease, lines: number): Promise<Head[]>;
  /**
   * D2: BEGIN, fence, the record's lock, claim, the effect with the ids that are fresh, the record leaves, COMMIT.
   * moved: it is not what was read any more, or not due; nothing was done.
   */
  attempt<T>(
    lease: Lease,
    head: Head,
    ids: readonly string[],
    effect: (tx: Tx, fresh: ReadonlySet<string>) => Promise<T>,
  ): Promise<{ kind: 'moved' } | { kind: 'done'; value: T; lineGone: boolean }>;
  /**
   * D2 for heads of different lines, with different ids, in one transaction. One that moved is not fresh, and does not
   * leave; neither does one that somebody holds at the moment.
   */
  attemptAll<T>(
    lease: Lease,
    heads: readonly Head[],
    effect: (tx: Tx, fresh: ReadonlySet<string>) => Promise<T>,
  ): Promise<{ value: T; left: ReadonlySet<number>; linesGone: ReadonlySet<number> }>;
  /** F: books a failure of the attempt after `head.attempt` ones. */
  fail(lease: Lease, head: Head, verdict: Verdict): Promise<'booked' | 'moved'>;
  /** L: dead records to announce. */
  unannounced(lease: Lease, limit: number): Promise<Letter[]>;
  /** L2. */
  announced(lease: Lease, recordId: number, deaths: number): Promise<void>;
};
