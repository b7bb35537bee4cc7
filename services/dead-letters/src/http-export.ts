/** REST of the export: the list's filters, all of it in one answer. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Api } from '@ragline/web/api';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { recordActions } from './audit.ts';
import { type ExportFormat, exportFormats, exportText } from './export.ts';
import { mayRead, scopeOf, tags } from './http.ts';
import { filterFrom, filterQuery } from './letter-filter.ts';
import type { Mask } from './letter-view.ts';
import { inScope } from './scope.ts';
import { letterShape } from './shapes.ts';

const exportFormat = z
  .enum(exportFormats)
  .default('ndjson')
  .meta({ description: 'A letter a line, or a table.' });

const contentTypes: Record<ExportFormat, string> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
};

export type ExportParts = {
  pool: Pool;
  mask: Mask;
  log: Logger;
  /** Exports at a time on this instance; each holds a connection for a page's time, and some megabytes. */
  atOnceMax?: number;
  /** How long a reader may take nothing before the connection is closed. */
  stalledAfterMs?: number;
  /** How long an export may take as a whole, however slowly it is read. */
  withinMs?: number;
};

/** To be called before addLetterRoutes, whose `{id}` takes any word. */
export function addExportRoutes(
  api: Api,
  { pool, mask, log, atOnceMax = 4, stalledAfterMs = 60_000, withinMs = 1_800_000 }: ExportParts,
): void {
  // By who asked: one person's exports must not take all places.
  const running = new Set<string>();

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/export',
      summary: 'All letters that the filter finds',
      description:
        'NDJSON: a letter a line, as `GET /v1/dead-letters/{id}` shows it. CSV: cells that begin with `=`, `+`, `-`, `@`, a tab or a line break are preceded by an apostrophe, so that no spreadsheet runs them. Values of sensitive headers are `***`. One at a time for each user, of half an hour at most. An answer that does not end regularly is not whole.',
      tags,
      auth: mayRead,
      query: z.object({ ...filterQuery, format: exportFormat }),
      responses: {
        200: {
          description: 'The letters.',
          alsoAs: {
            'application/x-ndjson': { itemSchema: letterShape },
            'text/csv': { schema: z.string() },
          },
          headers: { 'Content-Disposition': 'A name for the file.' },
        },
      },
    },
    async ({ query: { format, ...query }, principal, res }) => {
      const { user_id } = principal;
      if (running.has(user_id) || running.size >= atOnceMax) {
        const said = running.has(user_id)
          ? 'Your last export still runs.'
          : `${atOnceMax} exports run already.`;
        throw problem('unavailable', said, { headers: { 'retry-after': '30' } });
      }
      running.add(user_id);
      const late = setTimeout(() => res.destroy(), withinMs);
      try {
        const scope = scopeOf(principal);
        const action = { verb: 'export', tenant_id: scope.tenant_id, detail: { format, ...query } } as const;
        await inScope(pool, scope, (client) => recordActions(client, principal, [action]));
        const pieces = exportText(pool, { scope, filter: filterFrom(query), format, mask });
        // The head, and the first letters before anything is promised: a database that is away is a 503, not a cut.
        const begun = [await pieces.next(), await pieces.next()];
        res.statusCode = 200;
        res.setHeader('content-type', contentTypes[format]);
        res.setHeader('content-disposition', `attachment; filename="${fileName(format, new Date())}"`);
        res.setHeader('cache-control', 'no-store');
        // Whoever reads nothing for so long is gone, whatever the connection says.
        res.setTimeout(stalledAfterMs, () => res.destroy());
        await pipeline(Readable.from(whole(begun, pieces)), res);
      } catch (error) {
        if (!isGone(error)) throw error;
        log.debug('export cut off by its reader', { format });
      } finally {
        clearTimeout(late);
        running.delete(user_id);
      }
    },
  );
}

/** What was read ahead, and then the rest; ended before its end, so are the pieces. */
async function* whole(
  begun: readonly IteratorResult<string, unknown>[],
  pieces: AsyncGenerator<string>,
): AsyncGenerator<string> {
  try {
    for (const piece of begun) if (piece.done !== true && piece.value !== '') yield piece.value;
    yield* pieces;
  } finally {
    await pieces.return(undefined);
  }
}

/** dead-letters-2026-01-31T12-00-00Z.csv */
function fileName(format: ExportFormat, at: Date): string {
  return `dead-letters-${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z.${format}`;
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
