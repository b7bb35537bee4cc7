/** Lines of keys that wait, and their release: the head gives up its place, and those behind it go on. */
import type { Pool } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import { type Actor, busy } from './actions.ts';
import { recordActions } from './audit.ts';
import { keyText } from './letter-key.ts';
import { inScope } from './scope.ts';

type LineRow = {
  id: number;
  group_id: string;
  topic: string;
  partition: number;
  key: Buffer | null;
  tenant_id: string | null;
  since: Date;
  followers: number;
  attempt: number;
  /** Infinity: dead. */
  not_before: Date | number;
  detached: boolean;
  head_record_id: number;
  head_event_id: string;
  head_error: unknown;
  head_deaths: number;
  letter_id: string | null;
};

export type ParkedFilter = { group: string | undefined; topic: string | undefined };

/** A page of lines in the order of their ids: one more than the limit when there are more. */
export async function parkedKeys(
  pool: Pool,
  { scope }: Actor,
  { group, topic }: ParkedFilter,
  { after, limit }: { after: number | undefined; limit: number },
) {
  return inScope(pool, scope, async (client) => {
    const { rows } = await client.query<LineRow>({
      name: 'dead_letters_parked_lines',
      text: `SELECT p.*, l.id AS letter_id FROM streams.parked_lines($1, $2, $3, $4, $5) p
               LEFT JOIN dead_letters.letter l ON l.identity = p.group_id || '#' || p.head_record_id::text
              ORDER BY p.id`,
      values: [scope.tenant_id, group ?? null, topic ?? null, after ?? 0, limit + 1],
    });
    return rows.map(lineView);
  });
}

function lineView(line: LineRow) {
  const { id, group_id, topic, partition, key, tenant_id, since, followers, attempt, not_before, detached } =
    line;
  const notBefore = not_before instanceof Date ? not_before.toISOString() : null;
  return {
    id: String(id),
    group: group_id,
    topic,
    partition,
    key: keyText(key),
    tenant_id,
    since: since.toISOString(),
    followers,
    detached,
    head: {
      event_id: line.head_event_id === '' ? null : line.head_event_id,
      dead_letter_id: line.letter_id,
      attempt,
      not_before: notBefore,
      is_dead: notBefore === null,
      error_code: textIn(line.head_error, 'code'),
      error_message: textIn(line.head_error, 'message'),
    },
  };
}

function textIn(value: unknown, name: string): string | null {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof found === 'string' && found !== '' ? found : null;
}

/**
 * Releases the head of a line; gives its letter, if it has one already: a head that was not dead yet becomes one soon.
 * Throws Problem not_found, busy or already_handled.
 */
export async function releaseLine(
  pool: Pool,
  actor: Actor,
  lineId: string,
): Promise<{ id: string; dead_letter_id: string | null }> {
  const { scope } = actor;
  return inScope(pool, scope, async (client) => {
    const before = await client.query<{ group_id: string; tenant_id: string | null; detached: boolean }>(
      'SELECT group_id, tenant_id, detached FROM streams.parked_lines($1, NULL, NULL, $2::bigint - 1, 1) WHERE id = $2::bigint',
      [scope.tenant_id, lineId],
    );
    const [line] = before.rows;
    if (line === undefined) throw problem('not_found');
    if (line.detached) throw problem('conflict', 'It has no place to give up: nothing queues behind it.');
    const { rows } = await client.query<{ record_id: number | null; status: string }>(
      'SELECT record_id, status FROM streams.release_parked($1, $2::bigint)',
      [scope.tenant_id, lineId],
    );
    const { record_id, status } = rows[0] ?? { record_id: null, status: 'gone' };
    if (status === 'busy') throw busy();
    if (status === 'already_handled') throw problem('already_handled', 'Its head has just been handled.');
    if (status !== 'released') throw problem('not_found');
    // The record goes on under a new inbox id, by which its fate is asked from now on.
    const letters = await client.query<{ id: string }>(
      `UPDATE dead_letters.letter l SET inbox_id = f.inbox_id, version = l.version + 1, updated_at = clock_timestamp()
         FROM streams.fate(ARRAY[$2::bigint], ARRAY[$1::text], ARRAY[NULL::text]) f
        WHERE l.identity = $1 || '#' || ($2::bigint)::text RETURNING l.id`,
      [line.group_id, record_id],
    );
    const letter_id = letters.rows[0]?.id;
    const { group_id, tenant_id } = line;
    const action = { verb: 'release', group_id, tenant_id, detail: { parked_key: lineId } } as const;
    await recordActions(client, actor, [{ ...action, ...(letter_id !== undefined && { letter_id }) }]);
    return { id: lineId, dead_letter_id: letter_id ?? null };
  });
}
