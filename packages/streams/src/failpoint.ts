/** Failures on demand: a record's header says how its handling shall fail. For demonstrations and tests; off in production. */
import { PermanentError, UnavailableError } from './errors.ts';
import type { ConsumedRecord } from './record.ts';

export const failpointHeader = 'x-ragline-failpoint';

/**
 * Does what the record's header asks for, before its handler is called.
 *
 * `fail` always, `fail:N` while the attempt is not above N, `permanent`, `unavailable:SECONDS` since the record's
 * timestamp, `crash` (ends the process), `hang` (never resolves), `spin` (never gives the processor back).
 */
export async function failpoint(
  { headers, timestamp }: Pick<ConsumedRecord, 'headers' | 'timestamp'>,
  attempt: number,
): Promise<void> {
  const header = headers[failpointHeader];
  if (header === undefined) return;
  const [verb, number] = String(Array.isArray(header) ? header.at(-1) : header).split(':');
  switch (verb) {
    case 'fail':
      if (number === undefined || attempt <= Number(number)) {
        throw new Error(`Failpoint: attempt ${attempt} fails`);
      }
      return;
    case 'permanent':
      throw new PermanentError('failpoint', 'Failpoint: this never works');
    case 'unavailable':
      if (Date.now() < timestamp + Number(number) * 1_000) throw new UnavailableError('Failpoint: away');
      return;
    case 'crash':
      return process.exit(70);
    case 'spin':
      for (;;);
    case 'hang':
      return new Promise(() => {});
  }
}
