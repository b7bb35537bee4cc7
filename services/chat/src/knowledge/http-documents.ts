/** GET, POST and DELETE of /v1/knowledge/documents. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { freeObject, idempotencyKey, text, uuid } from '@ragline/web/fields';
import { hashRequest } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import {
  documentExample,
  listedDocumentExample,
  newDocumentExample,
  wholeDocumentExample,
} from '../examples.ts';
import type { ChunkLimits } from './chunk.ts';
import { documentKinds, findDocument, listDocuments } from './document-store.ts';
import type { DocumentWriting } from './documents.ts';
import { isInTooManyPieces } from './estimate.ts';
import type { DocumentParser } from './parse/parse.ts';
import { mediaTypes, ParseError, type ParseFault } from './parse/parsed.ts';

const tags = ['knowledge'];
const mebibyte = 1024 * 1024;
const bodyBytesMax = 10 * mebibyte;
const idParams = z.object({ id: uuid.toLowerCase().meta({ description: 'Of the document.' }) });
const times = { created_at: z.iso.datetime(), updated_at: z.iso.datetime() };

const fields = {
  kind: z.enum(documentKinds),
  title: text(200, 1),
  media_type: z.enum(mediaTypes),
  source: text(500).meta({
    description: 'Where it is from: a file, an address. Posting the same source again replaces the document.',
  }),
  language: z
    .string()
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, 'must be a language tag (BCP 47)')
    .nullable(),
  attributes: freeObject(),
};

const document = z
  .object({
    id: uuid,
    ...fields,
    content_hash: z.string(),
    version: z.int(),
    letters: z.int().meta({ description: 'How long the text is.' }),
    ...times,
  })
  .meta({ id: 'KnowledgeDocument', examples: [documentExample] });
const listed = document
  .extend({
    indexed_version: z
      .int()
      .nullable()
      .meta({ description: 'The version that can be found; null: none yet.' }),
  })
  .meta({ examples: [listedDocumentExample] });
const whole = listed.extend({ text: z.string() }).meta({ examples: [wholeDocumentExample] });

const newDocument = z
  .strictObject({
    ...fields,
    title: fields.title.optional().meta({ description: "The document's own when not given." }),
    content: z
      .string()
      .min(1)
      .max(bodyBytesMax)
      .meta({ description: 'The text; of a PDF its bytes in base64.' }),
    media_type: fields.media_type.default('text/markdown'),
    source: fields.source.default(''),
    language: fields.language.default(null),
    attributes: fields.attributes.default({}),
  })
  .meta({ examples: [newDocumentExample] });

export type DocumentParts = {
  pool: Pool;
  writing: DocumentWriting;
  parser: DocumentParser;
  limits: ChunkLimits;
  /** Chunks that a document may make. */
  chunksMax: number;
};

export function addDocumentRoutes(api: Api, parts: DocumentParts): void {
  const { pool, writing, parser, limits, chunksMax } = parts;
  api.route(
    {
      method: 'get',
      path: '/v1/knowledge/documents',
      summary: 'Policies, FAQs and notes, newest first',
      tags,
      auth: 'staff',
      query: z.object({
        ...pageQuery,
        kind: fields.kind.optional().meta({ description: 'Of this kind alone.' }),
      }),
      responses: { 200: pageOf(listed) },
    },
    async ({ query: { limit, cursor, kind }, principal: { tenant_id } }) => {
      const before = decodePageCursor(cursor, z.tuple([z.uuid()]))?.[0];
      const rows = await inTenant(pool, tenant_id, (client) =>
        listDocuments(client, tenant_id, { kind, before, limit }),
      );
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/knowledge/documents/{id}',
      summary: 'One document, with the text that was read out of it',
      tags,
      auth: 'staff',
      params: idParams,
      responses: { 200: whole },
    },
    async ({ params: { id }, principal: { tenant_id } }) => {
      const found = await inTenant(pool, tenant_id, (client) => findDocument(client, tenant_id, id));
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/knowledge/documents',
      summary: 'Add a document, or replace the one with the same source',
      description: 'At most 10 MiB. The assistant finds it some seconds later: see `indexed_version`.',
      tags,
      auth: 'staff',
      headers: z.object({ 'idempotency-key': idempotencyKey.optional() }),
      body: newDocument,
      maxBodyBytes: bodyBytesMax,
      problems: ['conflict'],
      responses: {
        200: { schema: document, description: 'Replaced, or the same as before.' },
        201: {
          schema: document,
          headers: { location: 'Where it is.' },
          links: {
            document: { to: 'GET /v1/knowledge/documents/{id}', parameters: { id: '$response.body#/id' } },
          },
        },
        409: { description: '`conflict`: the tenant has as many documents as it may.' },
      },
    },
    async ({ body, headers, principal }) => {
      const requestHash = hashRequest('POST', '/v1/knowledge/documents', body);
      const { content, title, ...given } = body;
      const bytes = given.media_type === 'application/pdf' ? fromBase64(content) : Buffer.from(content);
      const parsed = await parser.parse(given.media_type, bytes).catch(refuse);
      const called = (title ?? parsed.title?.slice(0, 200))?.trim();
      if (called === undefined || called === '')
        throw invalid('title', 'is missing, and the document names none');
      const kept = { ...given, title: called.toWellFormed(), text: parsed.text };
      if (await isInTooManyPieces(kept, limits, chunksMax))
        throw invalid('content', `makes more than ${chunksMax} passages: divide it into several documents`);
      return writing.keep(principal, kept, { key: headers['idempotency-key'], requestHash });
    },
  );

  api.route(
    {
      method: 'delete',
      path: '/v1/knowledge/documents/{id}',
      summary: 'Delete a document; its text is gone at once',
      tags,
      auth: 'staff',
      params: idParams,
      responses: { 204: null },
    },
    async ({ params, principal }) => {
      await writing.remove(principal, params.id);
      return { status: 204 };
    },
  );
}

const faults: Record<ParseFault, string> = {
  unreadable: 'cannot be read as what media_type says',
  no_text: 'has no text',
  too_long: 'has more text than a document may have',
  too_costly: 'takes more time or memory to read than a document may',
};

function refuse(error: unknown): never {
  if (error instanceof ParseError) throw invalid('content', faults[error.fault]);
  throw error;
}

function invalid(path: string, message: string) {
  return problem('invalid', undefined, { errors: [{ path, message }] });
}

function fromBase64(content: string): Buffer {
  const text = content.replace(/\s+/g, '');
  const padding = text.indexOf('=');
  // Buffer.from passes over what is no base64.
  const isBase64 = !/[^A-Za-z0-9+/=]/.test(text) && (padding < 0 || /^={1,2}$/.test(text.slice(padding)));
  if (!isBase64) throw invalid('content', 'must be base64');
  return Buffer.from(text, 'base64');
}
