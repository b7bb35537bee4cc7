import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { sampleDocuments } from '../seed/documents.ts';
import { documentFrom, textOf } from './document-file.ts';

describe('files as documents', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'documents-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const aFile = async (name: string, content: string | Uint8Array) => {
    const file = join(folder, name);
    await writeFile(file, content);
    return file;
  };

  it('is UTF-8, or UTF-16 with its mark, and nothing garbled', () => {
    assert.equal(textOf(Buffer.from('Käse'), 'a.txt'), 'Käse');
    assert.equal(textOf(Buffer.from('\ufeffKäse', 'utf16le'), 'a.txt'), 'Käse');
    assert.throws(() => textOf(Buffer.from('Käse', 'latin1'), 'a.txt'), /a\.txt: is not UTF-8/);
  });

  it('take what their first lines say, unless it is said otherwise', async () => {
    const file = await aFile(
      'a.md',
      '---\r\nkind: policy\r\nlanguage: de\r\ntitle: Regeln\r\n---\r\n# Text\n',
    );
    const { source: _, ...body } = await documentFrom(file);
    assert.deepEqual(body, {
      kind: 'policy',
      language: 'de',
      title: 'Regeln',
      media_type: 'text/markdown',
      content: '# Text\n',
    });
    const other = await documentFrom(file, { kind: 'faq', title: undefined, source: 'rules' });
    assert.deepEqual([other.kind, other.title, other.source], ['faq', 'Regeln', 'rules']);
  });

  it('are notes when nobody says what they are, and PDFs travel in base64', async () => {
    const text = await documentFrom(await aFile('b.TXT', 'Only text'));
    assert.deepEqual([text.kind, text.media_type, text.content], ['note', 'text/plain', 'Only text']);
    const pdf = await documentFrom(await aFile('c.pdf', new Uint8Array([1, 2, 250])));
    assert.deepEqual([pdf.media_type, pdf.content], ['application/pdf', 'AQL6']);
  });

  it('are refused by name when they are of another type, or of no known kind', async () => {
    await assert.rejects(documentFrom(await aFile('d.docx', '')), /d\.docx: only \.md/);
    await assert.rejects(documentFrom(await aFile('e.md', '---\nkind: menu\n---\n')), /e\.md: the kind menu/);
  });

  it('make the sample tenants three policies and four FAQs each', async () => {
    for (const tenant of ['demo', 'acme']) {
      const documents = await sampleDocuments(tenant);
      const kinds = documents.map(({ kind }) => kind).sort();
      assert.deepEqual(kinds, ['faq', 'faq', 'faq', 'faq', 'policy', 'policy', 'policy'], tenant);
      assert.equal(new Set(documents.map(({ source }) => source)).size, documents.length);
    }
  });
});
