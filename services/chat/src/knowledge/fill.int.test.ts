import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { UnavailableError } from '@ragline/streams/errors';
import { after, afterEach, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { embeddingStore } from '../embedding/store.ts';
import { createWordEmbedder } from '../embedding/testing.ts';
import { claimChunks } from './claims.ts';
import { modelCoverage } from './coverage.ts';
import { type Filling, startFilling } from './fill.ts';
import {
  aProduct,
  decoded,
  type IndexScene,
  onceIn,
  openIndex,
  productEvent,
  quietLog,
  type WordEmbedder,
} from './knowledge.support.ts';
import { fillAgain, longestChunk, modelBefore, retireModel } from './reembed.ts';
import { forAllTenants } from './scope.ts';

const count = 150;

describe('filling what has no vector', function () {
  this.timeout(60_000);
  let scene: IndexScene;
  const fillings: Filling[] = [];

  before(async () => {
    scene = await openIndex();
    await scene.index(
      ...Array.from({ length: count }, (_, index) => productEvent(aProduct({ name: `Dish ${index}` }))),
    );
  });
  afterEach(async () => {
    for (const filling of fillings.splice(0)) await filling.stop();
  });
  after(() => scene?.close());

  const coverageOf = async (id: string) =>
    (await forAllTenants(scene.pool, modelCoverage)).find((it) => it.id === id);

  function fill(others: WordEmbedder[], active: WordEmbedder = scene.embedder): Filling {
    const models = { inUse: async () => ({ active, others }) };
    const filling = startFilling({
      pool: scene.pool,
      models,
      log: quietLog,
      metrics: createMetrics({ service: 'chat' }),
    });
    fillings.push(filling);
    return filling;
  }

  async function aModel(id: string): Promise<WordEmbedder> {
    const embedder = createWordEmbedder({ id });
    await embeddingStore.register(scene.pool, embedder.model);
    return embedder;
  }

  it('gives every chunk its vector once, though several instances look for gaps', async () => {
    const model = await aModel('beside');
    for (let instance = 0; instance < 3; instance += 1) fill([model]);
    await eventually(async () => assert.equal((await coverageOf('beside'))?.missing, 0), {
      withinMs: 20_000,
    });
    assert.equal(model.asked(), count);
  });

  it('does again what an instance had claimed that died', async () => {
    const model = await aModel('claimed');
    await forAllTenants(scene.pool, async (client) => {
      const missing = await embeddingStore.missing(client, 'claimed', count);
      await claimChunks(client, 'claimed', missing, { batchSize: count, leaseMs: 1_500 });
      // Somebody's claim is nobody else's.
      assert.deepEqual(
        await claimChunks(client, 'claimed', missing, { batchSize: count, leaseMs: 1_500 }),
        [],
      );
    });
    fill([model]);
    await eventually(async () => assert.equal((await coverageOf('claimed'))?.missing, 0), {
      withinMs: 20_000,
    });
    assert.equal(model.asked(), count);
  });

  it('goes on after the model was away', async () => {
    const model = await aModel('flaky');
    let isAway = true;
    const flaky = {
      ...model,
      embed: (texts: readonly string[]) =>
        isAway ? Promise.reject(new UnavailableError('away')) : model.embed(texts),
    };
    const filling = fill([flaky]);
    await eventually(async () => assert.equal((await coverageOf('flaky'))?.embedded, 0));
    isAway = false;
    await eventually(
      async () => {
        filling.wake();
        assert.equal((await coverageOf('flaky'))?.missing, 0);
      },
      { withinMs: 20_000 },
    );
  });

  it('fills the model before while the active one is away, so that rolling back loses nothing', async () => {
    const before = await aModel('before');
    const away: WordEmbedder = {
      ...(await aModel('away')),
      embed: () => Promise.reject(new UnavailableError('away')),
    };
    fill([before], away);
    await eventually(async () => assert.equal((await coverageOf('before'))?.missing, 0), {
      withinMs: 20_000,
    });
  });

  it('embeds all others when the model refuses a text', async () => {
    const model = await aModel('picky');
    const picky = {
      ...model,
      embed: async (texts: readonly string[]) => {
        if (texts.some((text) => text.includes('Dish 77.'))) throw new Error('no such dish');
        return model.embed(texts);
      },
    };
    fill([picky]);
    await eventually(async () => assert.equal((await coverageOf('picky'))?.missing, 1), { withinMs: 20_000 });
  });

  it('changes from one model to another and back without a gap', async () => {
    const next = await aModel('next');
    fill([next]);
    await eventually(async () => assert.equal((await coverageOf('next'))?.missing, 0), { withinMs: 20_000 });
    const change = (id: string) => forAllTenants(scene.pool, (client) => embeddingStore.activate(client, id));
    await change('next');
    assert.equal(await modelBefore(scene.pool), 'words');
    // What is indexed from now on is embedded by the new model at once, and by the one before in the background.
    const index = scene.indexWith({
      models: { inUse: async () => ({ active: next, others: [scene.embedder] }) },
    });
    await index([decoded(productEvent(aProduct({ name: 'Later' })))], onceIn(scene.pool));
    assert.equal((await coverageOf('next'))?.missing, 0);
    assert.equal((await coverageOf('words'))?.missing, 1);
    fill([scene.embedder], next).wake();
    await eventually(async () => assert.equal((await coverageOf('words'))?.missing, 0), { withinMs: 20_000 });
    const before = await modelBefore(scene.pool);
    assert.equal(before, 'words');
    await change('words');
    assert.equal((await coverageOf('words'))?.state, 'active');
    assert.equal((await coverageOf('next'))?.state, 'filling');
    assert.equal(await retireModel(scene.pool, 'words'), false);
    assert.equal(await retireModel(scene.pool, 'next'), true);
    await fillAgain(scene.pool, 'next');
    assert.equal((await coverageOf('next'))?.state, 'filling');
    assert.ok((await forAllTenants(scene.pool, longestChunk)) > 0);
  });
});
