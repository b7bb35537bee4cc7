import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createLogger } from '@ragline/runtime/logger';
import { UnavailableError } from '@ragline/streams/errors';
import { after, before, describe, it } from 'mocha';
import { type Embedder, TextTooLongError } from './embedder.ts';
import { createMiniLm } from './minilm.ts';

const run = promisify(execFile);
const log = createLogger({ service: 'test', level: 'error' });
/** How it was made stands in it. */
const reference: { vectors: { text: string; vector: string }[]; tokens: { text: string; ids: number[] }[] } =
  JSON.parse(readFileSync(new URL('./minilm.reference.json', import.meta.url), 'utf8'));

describe('MiniLM in a thread', function () {
  this.timeout(60_000);
  let embedder: Embedder;
  before(() => {
    const folder = process.env.EMBEDDING_MODEL_DIR ?? '';
    assert.notEqual(folder, '', 'EMBEDDING_MODEL_DIR is not set');
    embedder = createMiniLm({ folder, log });
  });
  after(() => embedder?.stop());

  it('gives the vectors of the model with all its bits, as near as 0.999', async () => {
    const vectors = await embedder.embed(reference.vectors.map(({ text }) => text));
    for (const [at, { text, vector }] of reference.vectors.entries()) {
      const cosine = dot(vectors[at] ?? new Float32Array(), floatsOf(vector));
      assert.ok(cosine >= 0.999, `${cosine}: ${text}`);
    }
  });

  it('gives a text the same vector whatever is asked beside it', async () => {
    const texts = ['tea', 'Is there anything vegan under ten euros?'];
    const together = await embedder.embed(texts);
    assert.deepEqual(await embedder.embed(texts.slice(1)), together.slice(1));
  });

  it('counts tokens as the reference does, special ones included', () => {
    for (const { text, ids } of reference.tokens) assert.equal(embedder.countTokens(text), ids.length, text);
  });

  it('refuses a text that is too long rather than cutting it', async () => {
    const longest = 'pizza '.repeat(254);
    assert.equal(embedder.countTokens(longest), 256);
    assert.equal((await embedder.embed([longest])).length, 1);
    await assert.rejects(embedder.embed([`${longest} pizza`]), TextTooLongError);
  });

  it('answers a query before the many texts that wait', async () => {
    const order: string[] = [];
    const many = embedder
      .embed(Array.from({ length: 30 }, (_, at) => `text ${at}`))
      .then(() => order.push('many'));
    const query = embedder.embed(['a query']).then(() => order.push('query'));
    await Promise.all([many, query]);
    assert.deepEqual(order, ['query', 'many']);
  });

  it('tells its maker nothing: no identifier of this machine is made', async () => {
    const home = await mkdtemp(join(tmpdir(), 'ragline-home-'));
    try {
      const script = join(import.meta.dirname, 'embed-once.process.ts');
      // In CI the runtime is silent by itself.
      const own: NodeJS.ProcessEnv = { ...process.env, HOME: home, XDG_CACHE_HOME: '' };
      const { CI: _, ...env } = own;
      const { stdout } = await run(process.execPath, [script], { env });
      assert.equal(stdout.trim(), '384');
      assert.deepEqual(await readdir(home), []);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  it('gives up what is aborted before its turn', async () => {
    const aborting = new AbortController();
    const [first, second] = [embedder.embed(['one']), embedder.embed(['two'], aborting.signal)];
    aborting.abort(new Error('enough'));
    await assert.rejects(second, /enough/);
    assert.equal((await first).length, 1);
  });

  it('stops in the middle of its work, and says so to those who wait', async () => {
    const stopping = createMiniLm({ folder: process.env.EMBEDDING_MODEL_DIR ?? '', log });
    await stopping.embed(['ready']);
    const many = stopping.embed(Array.from({ length: 20 }, () => 'a text that is read '.repeat(20)));
    const refused = assert.rejects(many, UnavailableError);
    await stopping.stop();
    await refused;
    await assert.rejects(stopping.embed(['late']), UnavailableError);
  });

  it('says which file is missing', () => {
    assert.throws(
      () => createMiniLm({ folder: '/nowhere', log }),
      /EMBEDDING_MODEL_DIR lacks \/nowhere\/model.onnx/,
    );
  });
});

function floatsOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return Float32Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
}

function dot(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}
