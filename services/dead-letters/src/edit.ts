/**
 * Edits: a letter that waits gets another content, under a new event id; the old id is closed, so that no late copy of the
 * old content is handled. In groups that keep order the record is changed in its place in the line.
 */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { type FieldError, problem } from '@ragline/web/problems';
import { type ActionParts, type Actor, busy, fatesOf, refuseUntaken, routeOf } from './actions.ts';
import { actionOn, recordActions } from './audit.ts';
import {
  changedHeaders,
  type HeaderChanges,
  isPlain,
  lockedChanges,
  ownHeaders,
  textOf,
  withEventId,
  withMissing,
  withNewId,
} from './edit-rules.ts';
import type { WriterSchemas } from './edit-schema.ts';
import { appendLetterEvents } from './events.ts';
import { type LetterRow, rowColumns, type StoredHeaders } from './letter.ts';
import { keyText } from './letter-key.ts';
import type { Mask } from './letter-view.ts';
import { textsIn, wordsOf } from './letter-words.ts';
import { inScope } from './scope.ts';
import { take, wholeLetter } from './store.ts';

export type EditParts = ActionParts & { schemas: WriterSchemas; mask: Mask; isEditing: boolean };

/** What is left out stays. */
export type Edit = {
  value?: unknown;
  headers?: HeaderChanges | undefined;
  note?: string | undefined;
};

/** What a letter holds; the half of it that an edit changes. */
export type Content = {
  value: Buffer | null;
  decoded: unknown;
  schema_id: number | null;
  headers: StoredHeaders;
  event_id: string;
};

const anyState = ['waiting', 'replaying', 'resolved', 'discarded'] as const;

/**
 * Edits a letter, adds a note, or both.
 *
 * Throws Problem not_found, version_mismatch, invalid (field by field), forbidden while editing is off, conflict in
 * another state than waiting or where no schema can be named, already_handled, busy.
 */
export async function editLetter(
  parts: EditParts,
  actor: Actor,
  { id, version }: { id: string; version: (present: number) => void },
  edit: Edit,
): Promise<LetterRow> {
  const { pool, encoder } = parts;
  const isNoteAlone = edit.value === undefined && edit.headers === undefined;
  if (!isNoteAlone && !parts.isEditing) throw problem('forbidden', 'Editing is off here (EDITING).');
  const found = await inScope(pool, actor.scope, (client) => wholeLetter(client, id));
  if (found === undefined) throw problem('not_found');
  version(found.letter.version);
  if (!isNoteAlone && found.letter.state !== 'waiting') {
    return inScope(pool, actor.scope, (client) => refuseUntaken(client, id, 'edit'));
  }
  // Before the transaction: the registry may have to be asked. The version says that nothing has changed since.
  const content = isNoteAlone ? undefined : await contentAfter(parts, found.letter, edit);
  const encode = await encoder();
  return inScope(pool, actor.scope, async (client) => {
    const [before] = await take(client, [id], isNoteAlone ? anyState : ['waiting']);
    if (before === undefined) return refuseUntaken(client, id, 'edit');
    version(before.version);
    if (edit.note !== undefined) await addNote(client, actor, before, edit.note);
    if (content === undefined) return bumped(client, before);
    await closeOld(client, parts, actor, before, content);
    const after = await write(client, before, content);
    await keepHistory(client, actor, before, after);
    await appendLetterEvents(client, encode, [
      { event_type: 'dead_letter_edited', user_id: actor.user_id, letter: after },
    ]);
    return after;
  });
}

/** The new content, checked; throws Problem invalid or conflict. */
async function contentAfter(
  { schemas, mask }: Pick<EditParts, 'schemas' | 'mask'>,
  letter: LetterRow,
  edit: Edit,
): Promise<Content> {
  if (!isPlain(edit.value)) {
    const message = 'must have no field __proto__, and not be nested too deeply';
    throw problem('invalid', undefined, { errors: [{ path: 'value', message }] });
  }
  const errors: FieldError[] = [];
  const headers = changedHeaders(letter.headers, edit.headers ?? {}, mask);
  if ('errors' in headers) errors.push(...headers.errors);
  const isDecoded = letter.decoded !== null;
  const event_id = randomUUIDv7();
  let { value, schema_id, decoded } = letter;
  if (edit.value !== undefined) {
    const locks = { key: keyText(letter.key), headers: letter.headers };
    errors.push(...lockedChanges(isDecoded ? letter.decoded : undefined, edit.value, locks));
  }
  if (edit.value !== undefined || (isDecoded && hasEventId(letter.decoded))) {
    const schema = await schemas.of(letter);
    decoded = withEventId(edit.value ?? letter.decoded, event_id);
    const shown = isDecoded ? withEventId(letter.decoded, event_id) : undefined;
    const encoded = schema.encode(decoded, shown);
    if ('errors' in encoded) errors.push(...encoded.errors);
    else value = encoded.bytes;
    schema_id = schema.schema_id;
  }
  if (errors.length > 0) throw problem('invalid', undefined, { errors: distinct(errors) });
  if ((value?.length ?? 0) > valueBytesMax) {
    const message = `must not exceed ${valueBytesMax} bytes`;
    throw problem('invalid', undefined, { errors: [{ path: 'value', message }] });
  }
  const kept = 'headers' in headers ? headers.headers : letter.headers;
  const complete = isDecoded ? kept : withMissing(kept, edit.value);
  const editedFrom = letter.edited_from ?? letter.event_id;
  return { value, decoded, schema_id, event_id, headers: withNewId(complete, event_id, editedFrom) };
}

/** As large as the largest event. */
const valueBytesMax = 900 * 1024;

function hasEventId(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'event_id');
}

function distinct(errors: readonly FieldError[]): FieldError[] {
  return [...new Map(errors.map((error) => [error.path, error])).values()].slice(0, 50);
}

/** Closes the old id, and puts the new content in the old one's place. */
async function closeOld(
  client: Client,
  { foreignReplayTopics }: EditParts,
  { scope }: Actor,
  before: LetterRow,
  content: Content,
): Promise<void> {
  const route = routeOf(before, foreignReplayTopics);
  if (route.kind === 'parked') {
    const [fate] = await fatesOf(client, [before]);
    const { rows } = await client.query<{ status: string }>({
      name: 'dead_letters_edit_parked',
      text: 'SELECT streams.edit_parked($1, $2, $3, $4, $5, $6, false) AS status',
      values: [
        scope.tenant_id,
        route.record,
        fate?.inbox_id ?? before.inbox_id,
        content.event_id,
        content.value,
        JSON.stringify(ownHeaders(content.headers)),
      ],
    });
    refuse(rows[0]?.status ?? 'gone', fate?.outcome ?? null);
  }
  if (route.kind === 'unordered') {
    const { rows } = await client.query<{ status: string }>({
      name: 'dead_letters_close_edited',
      text: "SELECT status FROM streams.close_unordered(ARRAY[$1], ARRAY[$2], 'edited')",
      values: [before.group_id, route.inbox_id],
    });
    refuse(rows[0]?.status ?? 'gone', null);
  }
}

function refuse(status: string, outcome: string | null): void {
  if (status === 'edited' || status === 'closed') return;
  if (status === 'busy') throw busy();
  if (status === 'already_handled' || outcome === 'handled') throw problem('already_handled');
  throw problem('conflict', 'Its record has moved, or is in no line any more.');
}

async function write(client: Client, before: LetterRow, content: Content): Promise<LetterRow> {
  const { value, decoded, schema_id, headers, event_id } = content;
  const isRead = decoded !== null && decoded !== undefined;
  const eventType = before.event_type ?? textOf(headers, 'event_type') ?? null;
  const { rows } = await client.query<LetterRow>({
    name: 'dead_letters_write_edit',
    text: `UPDATE dead_letters.letter l
              SET value = $2, decoded = $3, schema_id = $4, headers = $5, event_id = $6, inbox_id = $6, event_type = $7,
                  decode_error = CASE WHEN $8 THEN NULL ELSE l.decode_error END,
                  edited_from = coalesce(l.edited_from, l.event_id),
                  version = l.version + 1, updated_at = clock_timestamp()
            WHERE l.id = $1 RETURNING ${rowColumns}`,
    values: [
      before.id,
      value,
      isRead ? JSON.stringify(decoded) : null,
      schema_id,
      JSON.stringify(headers),
      event_id,
      eventType,
      isRead,
    ],
  });
  await client.query({
    name: 'dead_letters_add_words',
    text: 'UPDATE dead_letters.letter_words SET words = words || array_to_tsvector($2::text[]) WHERE letter_id = $1',
    values: [before.id, wordsOf([event_id, ...textsIn(decoded)])],
  });
  const [after] = rows;
  if (after === undefined) throw problem('not_found');
  return after;
}

async function keepHistory(client: Client, actor: Actor, before: LetterRow, after: LetterRow): Promise<void> {
  await client.query({
    name: 'dead_letters_keep_edit',
    text: `INSERT INTO dead_letters.edit (id, letter_id, tenant_id, user_id, event_id_before, event_id_after,
                                          value_before, value_after, headers_before, headers_after)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    values: [
      randomUUIDv7(),
      before.id,
      before.tenant_id,
      actor.user_id,
      before.event_id,
      after.event_id,
      before.value,
      after.value,
      JSON.stringify(before.headers),
      JSON.stringify(after.headers),
    ],
  });
  const detail = { event_id_before: before.event_id, event_id_after: after.event_id, version: after.version };
  await recordActions(client, actor, [actionOn(before, 'edit', { detail })]);
}

async function addNote(client: Client, actor: Actor, letter: LetterRow, text: string): Promise<void> {
  await client.query({
    name: 'dead_letters_add_note',
    text: 'INSERT INTO dead_letters.note (id, letter_id, tenant_id, user_id, text) VALUES ($1, $2, $3, $4, $5)',
    values: [randomUUIDv7(), letter.id, letter.tenant_id, actor.user_id, text],
  });
  await recordActions(client, actor, [actionOn(letter, 'note')]);
}

async function bumped(client: Client, { id }: LetterRow): Promise<LetterRow> {
  const { rows } = await client.query<LetterRow>({
    name: 'dead_letters_bump',
    text: `UPDATE dead_letters.letter l SET version = l.version + 1, updated_at = clock_timestamp() WHERE l.id = $1
           RETURNING ${rowColumns}`,
    values: [id],
  });
  const [after] = rows;
  if (after === undefined) throw problem('not_found');
  return after;
}
