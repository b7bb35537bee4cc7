/** Changes of documents: a document and its event commit together. */
import { createHash, randomUUIDv7 } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { appendOutbox } from '@ragline/postgres/outbox';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { topics } from '@ragline/schemas/topics';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import type { Answer } from '@ragline/web/api';
import { idempotent } from '@ragline/web/idempotency';
import { problem } from '@ragline/web/problems';
import {
  countDocuments,
  type DocumentHead,
  insertDocument,
  lockDocument,
  lockSource,
  markDeleted,
  updateDocument,
} from './document-store.ts';

export type Actor = { tenant_id: string; user_id: string };
export type NewDocument = Pick<
  DocumentHead,
  'kind' | 'title' | 'media_type' | 'source' | 'language' | 'attributes'
> & { text: string };
type Document = DocumentHead & { text: string };

export type DocumentWriting = ReturnType<typeof documentWriting>;

/** Above this a record would outgrow its topic: readers ask for the text over REST. */
const eventTextBytesMax = 256 * 1024;

/** @param encoder gives the encoder of `catalog_v1`; asked before a transaction begins, since it may have to wait */
export function documentWriting(parts: {
  pool: Pool;
  idempotency: IdempotencyStore;
  encoder: () => Promise<(event: CatalogEvent) => Buffer>;
  /** Documents that a tenant may have. */
  documentsMax: number;
}) {
  const { pool, idempotency, encoder, documentsMax } = parts;

  return {
    /**
     * Keeps a document, once per key when there is one: 201, or 200 where it replaces one with the same source. What
     * changes nothing is no change: no version, no event. Throws Problem `conflict` when the tenant has too many.
     */
    async keep(
      actor: Actor,
      given: NewDocument,
      once: { key: string | undefined; requestHash: string },
    ): Promise<Answer> {
      const encode = await encoder();
      return idempotent({ store: idempotency, principal: actor, ...once }, async (client) => {
        const before = await earlier(client, actor.tenant_id, given.source);
        if (before === undefined) {
          if ((await countDocuments(client, actor.tenant_id)) >= documentsMax) {
            throw problem('conflict', `There are ${documentsMax} documents already: delete some first.`);
          }
          const made = newDocument(given);
          await insertDocument(client, actor, made);
          await publish(client, 'document_changed', made, actor, encode);
          return {
            status: 201,
            headers: { location: `/v1/knowledge/documents/${made.id}` },
            body: headOf(made),
          };
        }
        const after = replaced(before, given);
        if (after !== before) {
          await updateDocument(client, actor.tenant_id, after);
          await publish(client, 'document_changed', after, actor, encode);
        }
        return { status: 200, body: headOf(after) };
      });
    },

    /** Throws Problem not_found. */
    async remove(actor: Actor, id: string): Promise<void> {
      const encode = await encoder();
      await inTenant(pool, actor.tenant_id, async (client) => {
        const before = await lockDocument(client, actor.tenant_id, { id });
        if (before === undefined) throw problem('not_found');
        const last = nextVersion(before);
        await markDeleted(client, actor.tenant_id, last);
        await publish(client, 'document_deleted', last, actor, encode);
      });
    },
  };
}

async function earlier(client: Client, tenantId: string, source: string): Promise<Document | undefined> {
  if (source === '') return undefined;
  await lockSource(client, tenantId, source);
  return lockDocument(client, tenantId, { source });
}

function newDocument(given: NewDocument): Document {
  const at = new Date().toISOString();
  const derived = { content_hash: hashOf(given), letters: given.text.length };
  return { id: randomUUIDv7(), ...given, ...derived, version: 1, created_at: at, updated_at: at };
}

/** The same object when nothing of it changes. */
function replaced(before: Document, given: NewDocument): Document {
  const after = { ...before, ...given, content_hash: hashOf(given), letters: given.text.length };
  const isSame =
    after.content_hash === before.content_hash &&
    after.kind === before.kind &&
    after.language === before.language &&
    // Postgres keeps the members of an object in an order of its own.
    isDeepStrictEqual(after.attributes, before.attributes);
  return isSame ? before : nextVersion(after);
}

function nextVersion<D extends DocumentHead>(document: D): D {
  // Never before the last change, even when the clock was set back.
  const updatedMs = Math.max(Date.now(), Date.parse(document.updated_at));
  return { ...document, version: document.version + 1, updated_at: new Date(updatedMs).toISOString() };
}

function hashOf({ title, text }: NewDocument): string {
  return createHash('sha256').update(`${title}\n${text}`).digest('hex');
}

function headOf(document: Document): DocumentHead {
  const { id, kind, title, media_type, source, language, attributes } = document;
  const { content_hash, version, letters, created_at, updated_at } = document;
  const head = { id, kind, title, media_type, source, language, attributes };
  return { ...head, content_hash, version, letters, created_at, updated_at };
}

async function publish(
  client: Client,
  event_type: 'document_changed' | 'document_deleted',
  document: Document,
  { tenant_id, user_id }: Actor,
  encode: (event: CatalogEvent) => Buffer,
): Promise<void> {
  const { id, kind, title, source, language, content_hash, version, created_at, updated_at } = document;
  // What is deleted is not spread once more.
  const isCarried =
    event_type === 'document_changed' && Buffer.byteLength(document.text) <= eventTextBytesMax;
  const snapshot = {
    id,
    tenant_id,
    kind,
    title,
    source,
    language,
    content_hash,
    version,
    created_at,
    updated_at,
  };
  const event: CatalogEvent = {
    event_id: randomUUIDv7(),
    event_type,
    occurred_at: updated_at,
    tenant_id,
    actor_id: user_id,
    product: null,
    document: { ...snapshot, text: isCarried ? document.text : null },
  };
  const row = {
    id: event.event_id,
    topic: topics.catalog.name,
    key: id,
    event_type,
    tenant_id,
    user_id,
    traceparent: currentTraceparent(),
    payload: encode(event),
  };
  await appendOutbox(client, 'chat', [row]);
}
