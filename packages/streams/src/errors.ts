/** What an error tells the runner of a handler: whether, and when, trying again can help. */

/** Trying again cannot help: the record becomes a dead letter at once. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  readonly code: string;

  /** @param code what `error-code` of the dead letter says; few values, `snake_case` */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Something everyone needs is away: the partition waits, and no attempt is spent. Never for a tenant's own fault. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

/** The handler did not end in time; its transaction is gone. A failed attempt like any other. */
export class HandlerDeadlineError extends Error {
  override readonly name = 'HandlerDeadlineError';
  readonly code = 'handler_deadline';

  constructor(deadlineMs: number) {
    super(`The handler did not end within ${deadlineMs} ms`);
  }
}

/** An error as the failure decision sees it. */
export type Failure =
  | { kind: 'permanent'; code: string }
  | { kind: 'unavailable' }
  /** Another transaction was in the way: the same again, at once or nearly so. */
  | { kind: 'conflict'; code: string }
  | { kind: 'unknown'; code: string };

// What Node says when the other side, or the way to it, is not there.
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
]);

// 08: connection exceptions, 53: out of memory, disk or connections, 57P01-57P05: shut down, crashed, starting,
// 58: the server's disk. 25006: a standby took over and is not writable yet.
const awaySqlStates = /^(08|53|58)[0-9A-Z]{3}$|^57P0[1-5]$|^25006$/;

// Serialization failure, deadlock, a lock that was not to be had in time.
const conflictSqlStates = new Set(['40001', '40P01', '55P03']);

// pg gives these no code.
const awayMessages =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Cannot use a pool after)/;

/** Reads what an error of a handler, of Postgres, of the network or of a breaker means. */
export function failureOf(error: unknown): Failure {
  const { name, code, message, permanent } = traitsOf(error);
  if (error instanceof PermanentError || permanent) {
    return { kind: 'permanent', code: code === '' ? 'permanent' : code };
  }
  if (conflictSqlStates.has(code)) return { kind: 'conflict', code: 'handler_failed' };
  if (error instanceof HandlerDeadlineError) return { kind: 'unknown', code: error.code };
  return isAway(error) ? { kind: 'unavailable' } : { kind: 'unknown', code: 'handler_failed' };

  function isAway(cause: unknown): boolean {
    if (cause instanceof UnavailableError) return true;
    if (name === 'RegistryUnavailableError' || name === 'KafkaJSNumberOfRetriesExceeded') return true;
    if (name === 'BreakerError' || code === 'breaker_open' || code === 'EOPENBREAKER') return true;
    if (networkCodes.has(code) || awaySqlStates.test(code) || awayMessages.test(message)) return true;
    // `fetch failed` and pg-pool keep the reason in `cause`.
    return (
      cause instanceof Error && cause.cause !== undefined && failureOf(cause.cause).kind === 'unavailable'
    );
  }
}

type Traits = { name: string; code: string; message: string; permanent: boolean };

function traitsOf(error: unknown): Traits {
  if (!(error instanceof Error)) return { name: '', code: '', message: '', permanent: false };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const permanent = 'permanent' in error && error.permanent === true;
  return { name: error.name, code, message: error.message, permanent };
}
