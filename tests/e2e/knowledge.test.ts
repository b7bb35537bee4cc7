/** From a file or a product to what the assistant finds, through every part that there is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import type { Session } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpRequest, httpTo } from '../support/http.ts';
import { sampleUser } from './chat-scene.ts';

const run = promisify(execFile);
const command = join(import.meta.dirname, '../../tools/bin/ragline.mjs');
// The stack of the tests is a busy one.
const withinMs = 30_000;

type Found = { source_id: string; text: string; price: number | null; source: string };

describe('what the assistant knows', function () {
  this.timeout(90_000);
  let staff: Session;
  let customer: Session;
  let folder: string;

  before(async () => {
    [staff, customer] = await Promise.all([sampleUser('staff@demo'), sampleUser('customer@demo')]);
    folder = await mkdtemp(join(tmpdir(), 'ragline-knowledge-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const as = async (who: Session, method: string, path: string, request: HttpRequest = {}) =>
    httpTo(who.url)(method, path, { token: await who.token(), ...request });

  async function search(query: string): Promise<Found[]> {
    const { status, body } = await as(
      customer,
      'GET',
      `/v1/knowledge/search?${new URLSearchParams({ q: query })}`,
    );
    assert.equal(status, 200);
    return body.data;
  }

  async function importFile(file: string) {
    const { stdout } = await run(process.execPath, [
      command,
      'knowledge',
      'import',
      file,
      '--wait',
      '--json',
    ]);
    const [document] = JSON.parse(stdout);
    return document;
  }

  it('follows a file: imported, changed and deleted', async () => {
    const word = `quokka${randomUUID().slice(0, 8)}`;
    const file = join(folder, `${word}.md`);
    const question = `Where does the mascot ${word} live?`;
    const textsOf = async (id: string) =>
      (await search(question)).filter(({ source_id }) => source_id === id).map(({ text }) => text);

    await writeFile(file, `---\nkind: faq\n---\n# Our mascot\n\n## ${question}\n\nIn the garden.\n`);
    const document = await importFile(file);
    try {
      assert.deepEqual([document.kind, document.source, document.version], ['faq', `${word}.md`, 1]);
      await eventually(
        async () => assert.deepEqual(await textsOf(document.id), [`${question}\nIn the garden.`]),
        {
          withinMs,
        },
      );
      await writeFile(file, `---\nkind: faq\n---\n# Our mascot\n\n## ${question}\n\nOn the roof.\n`);
      const changed = await importFile(file);
      assert.deepEqual([changed.id, changed.version], [document.id, 2]);
      await eventually(
        async () => assert.deepEqual(await textsOf(document.id), [`${question}\nOn the roof.`]),
        {
          withinMs,
        },
      );
    } finally {
      await as(staff, 'DELETE', `/v1/knowledge/documents/${document.id}`);
    }
    await eventually(async () => assert.deepEqual(await textsOf(document.id), []), { withinMs });
  });

  it('follows a product: its price, whether it can be had, and its end', async () => {
    const name = `Pizza Quokka ${randomUUID().slice(0, 8)}`;
    const made = await as(staff, 'POST', '/v1/products', {
      body: { name, description: 'With eucalyptus honey', category: 'pizza', price: 1_234, currency: 'EUR' },
    });
    assert.equal(made.status, 201);
    const { id } = made.body;
    const change = (body: object) => as(staff, 'PATCH', `/v1/products/${id}`, { body });
    const pricesAre = (expected: number[]) =>
      eventually(
        async () => {
          const prices = (await search(name))
            .filter(({ source_id }) => source_id === id)
            .map(({ price }) => price);
          assert.deepEqual(prices, expected);
        },
        { withinMs },
      );
    try {
      await pricesAre([1_234]);
      await change({ price: 1_111 });
      await pricesAre([1_111]);
      await change({ available: false });
      await pricesAre([]);
      await change({ available: true });
      await pricesAre([1_111]);
    } finally {
      await as(staff, 'DELETE', `/v1/products/${id}`);
    }
    await pricesAre([]);
  });
});
