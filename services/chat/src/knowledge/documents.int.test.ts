import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { type Codec, createCodec } from '@ragline/schemas/codec';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import { after, before, describe, it } from 'mocha';
import { stack } from '../../../../tests/support/stack.ts';
import { type KnowledgeHttp, startKnowledgeHttp } from './http.support.ts';
import { type IndexScene, openIndex } from './knowledge.support.ts';
import { aPdf } from './parse/a-pdf.support.ts';

const path = '/v1/knowledge/documents';

describe('documents', function () {
  this.timeout(60_000);
  let scene: IndexScene;
  let http: KnowledgeHttp;
  let codec: Codec;

  before(async () => {
    scene = await openIndex();
    codec = createCodec({ registryUrl: stack().registryUrl });
    http = await startKnowledgeHttp(scene, { DOCUMENTS_MAX: '8' });
  });
  after(async () => {
    await http?.stop();
    await scene?.close();
  });

  const aCaller = (roles: string[] = ['staff'], tenantId?: string) => http.caller(roles, tenantId);

  async function eventsOf(id: string): Promise<CatalogEvent[]> {
    const rows = await scene.owner<{ payload: Buffer }>(
      'SELECT payload FROM chat.outbox WHERE aggregateid = $1 ORDER BY created_at, id',
      [id],
    );
    const events: CatalogEvent[] = [];
    for (const { payload } of rows) {
      events.push((await codec.decode(payload)).value as CatalogEvent);
    }
    return events;
  }

  const refunds = {
    kind: 'policy',
    title: 'Refunds',
    content: '# Refunds\n\nWithin 14 days.',
    source: 'refunds.md',
  };

  it('keeps a document and tells of it in one transaction', async () => {
    const staff = await aCaller();
    const made = await staff.call('POST', path, { ...refunds, language: 'en' });
    assert.equal(made.status, 201);
    assert.equal(made.headers.get('location'), `${path}/${made.body.id}`);
    const found = await staff.call('GET', `${path}/${made.body.id}`);
    assert.deepEqual(found.body, { ...made.body, text: refunds.content, indexed_version: null });
    const [event, ...others] = await eventsOf(made.body.id);
    assert.deepEqual(others, []);
    assert.equal(event?.event_type, 'document_changed');
    assert.deepEqual(
      [event?.document?.text, event?.document?.version, event?.tenant_id, event?.document?.kind],
      [refunds.content, 1, staff.tenant_id, 'policy'],
    );
    const listed = await staff.call('GET', path);
    assert.deepEqual(listed.body, { data: [{ ...made.body, indexed_version: null }], next_cursor: null });
  });

  it('replaces the document with the same source, and does nothing when nothing changed', async () => {
    const staff = await aCaller();
    const { body: first } = await staff.call('POST', path, { ...refunds, attributes: { b: 1, aa: 2 } });
    const again = await staff.call('POST', path, { ...refunds, attributes: { aa: 2, b: 1 } });
    assert.deepEqual([again.status, again.body.id, again.body.version], [200, first.id, 1]);
    const changed = await staff.call('POST', path, { ...refunds, content: 'Within 7 days.' });
    assert.deepEqual([changed.status, changed.body.id, changed.body.version], [200, first.id, 2]);
    assert.deepEqual(
      (await eventsOf(first.id)).map(({ document }) => [document?.version, document?.text]),
      [
        [1, refunds.content],
        [2, 'Within 7 days.'],
      ],
    );
  });

  it('makes one document of imports that begin together', async () => {
    const staff = await aCaller();
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        staff.call('POST', path, { ...refunds, content: `Text ${index}` }),
      ),
    );
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    const [{ version } = { version: 0 }] = (await staff.call('GET', path)).body.data;
    assert.equal(version, 6);
  });

  it('answers a repeated request as the first time', async () => {
    const staff = await aCaller();
    const key = { 'idempotency-key': 'import-1' };
    const note = { kind: 'note', title: 'Note', content: 'Text' };
    const first = await staff.call('POST', path, note, key);
    const second = await staff.call('POST', path, note, key);
    assert.deepEqual([second.status, second.body], [201, first.body]);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    const other = await staff.call('POST', path, { ...note, content: 'Other' }, key);
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
  });

  it('forgets the text of a deleted document at once, and tells that it is gone', async () => {
    const staff = await aCaller();
    const { body } = await staff.call('POST', path, refunds);
    assert.equal((await staff.call('DELETE', `${path}/${body.id}`)).status, 204);
    assert.equal((await staff.call('GET', `${path}/${body.id}`)).status, 404);
    assert.equal((await staff.call('DELETE', `${path}/${body.id}`)).status, 404);
    const last = (await eventsOf(body.id)).at(-1);
    assert.deepEqual(
      [last?.event_type, last?.document?.version, last?.document?.text],
      ['document_deleted', 2, null],
    );
    const [row] = await scene.owner<{ body: string }>('SELECT body FROM chat.document WHERE id = $1', [
      body.id,
    ]);
    assert.equal(row?.body, '');
    // The same source may come again, as another document.
    assert.notEqual((await staff.call('POST', path, refunds)).body.id, body.id);
  });

  it('reads HTML and PDF, and takes their own titles', async () => {
    const staff = await aCaller();
    const html = {
      kind: 'faq',
      content: '<title>Parking</title><p>Behind the house.',
      media_type: 'text/html',
    };
    const page = await staff.call('POST', path, html);
    assert.deepEqual([page.status, page.body.title, page.body.media_type], [201, 'Parking', 'text/html']);
    const bytes = aPdf([[{ text: 'Open daily.' }]], { title: 'Hours' });
    const pdf = { kind: 'policy', content: bytes.toString('base64'), media_type: 'application/pdf' };
    const { body } = await staff.call('POST', path, pdf);
    assert.equal((await staff.call('GET', `${path}/${body.id}`)).body.text, 'Open daily.');
  });

  it('indexes a text that is too long for its event from the document itself, and no version that is gone', async () => {
    const staff = await aCaller();
    const content = Array.from(
      { length: 300 },
      (_, index) => `## Rule ${index}\n\n${'Nobody does this. '.repeat(60)}`,
    );
    const { body } = await staff.call('POST', path, { ...refunds, content: content.join('\n\n') });
    const [event] = await eventsOf(body.id);
    assert.ok(event);
    assert.equal(event.document?.text, null);
    assert.deepEqual(await scene.index(event), ['indexed']);
    const [kind] = (await staff.call('GET', '/v1/knowledge/coverage')).body.kinds;
    assert.deepEqual([kind.kind, kind.sources, kind.chunks], ['policy', 1, 300]);
    // Its commit is on the log, and not to be seen yet; or never, when this is another database.
    const unseen = {
      ...event,
      event_id: randomUUIDv7(),
      document: event.document && { ...event.document, version: 2 },
    };
    await assert.rejects(scene.index(unseen), { name: 'UnavailableError' });
    assert.deepEqual(await scene.index({ ...unseen, occurred_at: '2026-01-01T00:00:00.000Z' }), [
      'superseded',
    ]);
    await staff.call('DELETE', `${path}/${body.id}`);
    // As a replay would bring it.
    const late = {
      ...event,
      event_id: randomUUIDv7(),
      document: event.document && { ...event.document, version: 9 },
    };
    assert.deepEqual(await scene.index(late), ['superseded']);
  });

  it('says what is wrong with a document that it does not take', async () => {
    const staff = await aCaller();
    const refused = async (body: unknown) => {
      const answer = await staff.call('POST', path, body);
      return [answer.status, answer.body.code, answer.body.errors?.[0]?.path];
    };
    const pdf = { kind: 'policy', title: 'x', media_type: 'application/pdf' };
    assert.deepEqual(await refused({ ...pdf, content: 'no base64!' }), [422, 'invalid', 'content']);
    assert.deepEqual(await refused({ ...pdf, content: 'R0lGODlh' }), [422, 'invalid', 'content']);
    assert.deepEqual(await refused({ kind: 'policy', content: 'no title' }), [422, 'invalid', 'title']);
    assert.deepEqual(await refused({ ...refunds, content: ' \n ' }), [422, 'invalid', 'content']);
    assert.deepEqual(await refused({ ...refunds, kind: 'menu' }), [422, 'invalid', 'kind']);
    assert.deepEqual(await refused({ ...refunds, media_type: 'text/rtf' }), [422, 'invalid', 'media_type']);
    assert.deepEqual(await refused({ ...refunds, content: 'a'.repeat(1_000_001) }), [
      422,
      'invalid',
      'content',
    ]);
    // 30 bytes each, and a passage each: far more than are embedded in reasonable time.
    const questions = Array.from({ length: 30_000 }, (_, index) => `Question ${index}?\nAnswer`).join('\n');
    assert.deepEqual(await refused({ kind: 'faq', title: 'x', content: questions }), [
      422,
      'invalid',
      'content',
    ]);
    const [status, code] = await refused({ ...refunds, content: 'a'.repeat(10 * 1024 * 1024) });
    assert.deepEqual([status, code], [413, 'too_large']);
  });

  it('lets a tenant have so many documents and no more', async () => {
    const staff = await aCaller();
    const add = (index: number) =>
      staff.call('POST', path, { kind: 'note', title: 'Note', content: `Text ${index}` });
    for (let index = 0; index < 8; index += 1) assert.equal((await add(index)).status, 201);
    const ninth = await add(9);
    assert.deepEqual([ninth.status, ninth.body.code], [409, 'conflict']);
  });

  it("is the staff's business, and no other tenant's", async () => {
    const staff = await aCaller();
    const { body } = await staff.call('POST', path, refunds);
    const customer = await aCaller(['customer'], staff.tenant_id);
    assert.equal((await customer.call('GET', path)).status, 403);
    assert.equal((await customer.call('POST', path, refunds)).status, 403);
    const other = await aCaller(['admin']);
    assert.deepEqual((await other.call('GET', path)).body.data, []);
    for (const method of ['GET', 'DELETE']) {
      assert.equal((await other.call(method, `${path}/${body.id}`)).status, 404);
    }
  });

  it('says how much can be found, and which models there are', async () => {
    const staff = await aCaller();
    const { body: made } = await staff.call('POST', path, refunds);
    const coverage = async () => (await staff.call('GET', '/v1/knowledge/coverage')).body;
    const before = await coverage();
    assert.deepEqual([before.documents, before.behind, before.kinds], [1, 1, []]);
    await scene.index(...(await eventsOf(made.id)));
    const now = await coverage();
    assert.deepEqual([now.documents, now.behind], [1, 0]);
    assert.deepEqual([now.kinds[0].kind, now.kinds[0].sources, now.kinds[0].chunks], ['policy', 1, 1]);
    assert.deepEqual([now.models[0].state, now.models[0].embedded, now.models[0].missing], ['active', 1, 0]);
    assert.equal((await staff.call('GET', `${path}/${made.id}`)).body.indexed_version, 1);
    assert.equal((await staff.call('GET', '/v1/knowledge/models')).status, 403);
    const operator = await aCaller(['operator']);
    assert.equal((await operator.call('GET', '/v1/knowledge/models')).body.data.length, 1);
  });
});
