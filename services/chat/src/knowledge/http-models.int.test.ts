import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { createWordEmbedder } from '../embedding/testing.ts';
import { type KnowledgeHttp, startKnowledgeHttp } from './http.support.ts';
import { aProduct, type IndexScene, openIndex, productEvent } from './knowledge.support.ts';

const path = '/v1/knowledge/models';

describe('embedding models over REST', function () {
  this.timeout(60_000);
  let scene: IndexScene;
  let http: KnowledgeHttp;
  let operator: Awaited<ReturnType<KnowledgeHttp['caller']>>;

  before(async () => {
    scene = await openIndex();
    const others = [createWordEmbedder({ id: 'next' }), createWordEmbedder({ id: 'short', maxTokens: 8 })];
    http = await startKnowledgeHttp(scene, {}, others);
    operator = await http.caller(['operator']);
    await scene.index(
      ...Array.from({ length: 40 }, (_, index) => productEvent(aProduct({ name: `Dish ${index}` }))),
    );
  });
  after(async () => {
    await http?.stop();
    await scene?.close();
  });

  const statesOf = ({ body }: { body: { data: { id: string; state: string }[] } }) =>
    Object.fromEntries(body.data.map(({ id, state }) => [id, state]));
  const refused = async (to: string, body: unknown) => {
    const answer = await operator.call('POST', to, body);
    return [answer.status, answer.body.code];
  };

  it('refuse a model that nobody is set up for, and one that reads too little', async () => {
    assert.deepEqual(await refused(path, { id: 'openai:nothing:8' }), [422, 'invalid']);
    assert.deepEqual(await refused(path, { id: 'openai:x:9999' }), [422, 'invalid']);
    assert.deepEqual(await refused(path, { id: 'short' }), [409, 'conflict']);
    assert.deepEqual(await refused(`${path}/switch`, { id: 'next' }), [422, 'invalid']);
    assert.deepEqual(await refused(`${path}/rollback`, undefined), [409, 'conflict']);
  });

  it('are filled beside the present one, switched to when they are full, and rolled back', async () => {
    const begun = await operator.call('POST', path, { id: 'next' });
    assert.deepEqual([begun.status, statesOf(begun)], [200, { words: 'active', next: 'filling' }]);
    assert.deepEqual(await refused(`${path}/switch`, { id: 'next' }), [409, 'conflict']);

    // Some instance fills.
    const filling = http.knowledge.fill();
    try {
      await eventually(async () => {
        const { body } = await operator.call('GET', path);
        assert.equal(body.data.find(({ id }: { id: string }) => id === 'next').missing, 0);
      });
    } finally {
      await filling.stop();
    }
    const switched = await operator.call('POST', `${path}/switch`, { id: 'next' });
    assert.deepEqual([switched.status, statesOf(switched)], [200, { words: 'filling', next: 'active' }]);
    const back = await operator.call('POST', `${path}/rollback`);
    assert.deepEqual([back.status, statesOf(back)], [200, { words: 'active', next: 'filling' }]);
    assert.deepEqual(await refused(`${path}/retire`, { id: 'words' }), [409, 'conflict']);
    const retired = await operator.call('POST', `${path}/retire`, { id: 'next' });
    assert.deepEqual(statesOf(retired), { words: 'active', next: 'retired' });
    assert.deepEqual(await refused(`${path}/switch`, { id: 'next' }), [422, 'invalid']);
    assert.deepEqual(statesOf(await operator.call('POST', path, { id: 'next' })).next, 'filling');
  });

  it("are the operator's business", async () => {
    const admin = await http.caller(['admin']);
    for (const to of [path, `${path}/switch`, `${path}/rollback`, `${path}/retire`]) {
      assert.equal((await admin.call('POST', to, { id: 'next' })).status, 403);
    }
  });
});
