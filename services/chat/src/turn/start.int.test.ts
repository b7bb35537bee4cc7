import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { createOpenAiEmbedder } from '../embedding/openai-embedder.ts';
import type { ModelEvent } from '../model/model.ts';
import { aRetriever, openTurnScene, readerOf, type TurnScene } from './scene.support.ts';
import { openTopics, startInstance } from './start.support.ts';
import { aModel, saying } from './turn.support.ts';

describe('instances that answer from Kafka', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  let topics: Awaited<ReturnType<typeof openTopics>>;
  let instance: Awaited<ReturnType<typeof startInstance>>;
  const cutAt = new Map<string, number>();
  let retriever = aRetriever();

  // What is asked says how it is answered.
  const model = aModel(async function* ({ messages, signal }): AsyncGenerator<ModelEvent> {
    const question = messages.at(-1)?.content ?? '';
    if (!question.startsWith('slow')) {
      yield* saying(`Answer to ${question}`);
      return;
    }
    yield { kind: 'text', text: 'Slowly' };
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => {
      cutAt.set(question, Date.now());
      reject(signal.reason);
    });
    await promise;
  });

  before(async () => {
    scene = await openTurnScene();
    topics = await openTopics();
    instance = await startInstance({
      ...{ names: topics.names, pool: scene.pool, instance: 'test-1', model },
      retriever: { retrieve: (request) => retriever.retrieve(request) },
    });
  });
  after(async () => {
    await instance?.stop();
    await topics?.remove();
    await scene?.close();
  });

  it('answers the questions of a conversation in their order', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    for (const question of ['one', 'two', 'three']) {
      const { record } = await scene.ask(who, conversation, question);
      await topics.request(record);
    }
    await eventually(() =>
      assert.deepEqual(
        seen(conversation).map(({ text, ends }) => [text, ends]),
        ['one', 'two', 'three'].map((question) => [`Answer to ${question}`, ['message_completed']]),
      ),
    );
  });

  it('answers other conversations while one takes long, and stops that one by its record alone', async () => {
    const who = scene.aUser();
    const [slow, quick] = [await scene.open(who), await scene.open(who)];
    const asked = await scene.ask(who, slow, 'slow');
    await topics.request(asked.record);
    await eventually(() => assert.equal(seen(slow)[0]?.text, 'Slowly'));

    await topics.request((await scene.ask(who, quick, 'quick')).record);
    await eventually(() => assert.deepEqual(seen(quick)[0]?.ends, ['message_completed']));
    assert.deepEqual(seen(slow)[0]?.ends, []);

    // As a stop that another instance took: this one hears of it by the topic.
    await topics.request({ ...asked.record, event_type: 'stop_requested' });
    await eventually(() => assert.deepEqual(seen(slow)[0]?.ends, ['message_stopped']));
    assert.ok(cutAt.has('slow'), 'the model was told');
    assert.deepEqual((await scene.message(who, asked.answer_id)).content, 'Slowly');
  });

  it('hears of a stop by the row too, when its record is late', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const asked = await scene.ask(who, conversation, 'slow again');
    await topics.request(asked.record);
    await eventually(() => assert.equal(seen(conversation)[0]?.text, 'Slowly'));
    await scene.stop(who, conversation);
    await eventually(() => assert.deepEqual(seen(conversation)[0]?.ends, ['message_stopped']));
  });

  it('waits while the embedding endpoint is away, spends no attempt, and answers when it is back', async () => {
    let isAway = true;
    let tries = 0;
    const endpoint = createServer((_req, res) => {
      const data = [{ index: 0, embedding: [1, 0, 0] }];
      res.writeHead(isAway ? 503 : 200, { 'content-type': 'application/json', 'x-should-retry': 'false' });
      res.end(JSON.stringify(isAway ? {} : { data }));
    });
    await once(endpoint.listen(0, '127.0.0.1'), 'listening');
    const address = endpoint.address();
    assert.ok(typeof address === 'object' && address !== null);
    const metrics = createMetrics({ service: 'test' });
    const embedder = createOpenAiEmbedder({
      ...{ baseUrl: `http://127.0.0.1:${address.port}/v1`, apiKey: 'key', name: 'embedder', dimensions: 3 },
      ...{ maxTokens: 1_000, timeoutMs: 1_000, metrics },
    });
    const breaker = async () =>
      /ragline_breaker_state\{[^}]*dependency="embeddings:embedder"[^}]*\} (\d)/.exec(
        await metrics.text(),
      )?.[1];
    const found = retriever;
    retriever = {
      async retrieve(request) {
        tries += 1;
        await embedder.embed([request.query], request.signal);
        return found.retrieve(request);
      },
    };
    try {
      const who = scene.aUser();
      const conversation = await scene.open(who);
      const { record, answer_id } = await scene.ask(who, conversation, 'late');
      await topics.request(record);
      await eventually(() => tries > 0);
      await Promise.allSettled(Array.from({ length: 5 }, () => embedder.embed(['others ask too'])));
      assert.equal(await breaker(), '2');
      // More often than there are attempts.
      await eventually(() => tries > 4);
      assert.equal((await scene.message(who, answer_id)).state, 'running');
      isAway = false;
      await eventually(() => assert.deepEqual(seen(conversation)[0]?.ends, ['message_completed']), {
        withinMs: 15_000,
      });
      assert.equal(seen(conversation)[0]?.text, 'Answer to late');
      assert.deepEqual(topics.letters, []);
      assert.equal(await breaker(), '0');
      const { rows } = await scene.owner.query('SELECT FROM streams.parked_key');
      assert.equal(rows.length, 0);
    } finally {
      retriever = found;
      await embedder.stop();
      endpoint.close();
    }
  });

  it('hands a turn over when it stops, and says nothing more of it', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const asked = await scene.ask(who, conversation, 'slow at first');
    await topics.request(asked.record);
    await eventually(() => assert.equal(seen(conversation)[0]?.text, 'Slowly'));
    await instance.stop();
    const quick = aModel(() => saying('Quickly now.'));
    instance = await startInstance({
      names: topics.names,
      pool: scene.pool,
      instance: 'test-2',
      model: quick,
    });
    await eventually(
      () => {
        const [turn] = seen(conversation);
        assert.deepEqual(
          [turn?.text, turn?.ends, turn?.restarts],
          ['Quickly now.', ['message_completed'], 1],
        );
      },
      { withinMs: 30_000 },
    );
  });

  const seen = (conversation: string) =>
    readerOf(topics.told.filter(({ conversation_id }) => conversation_id === conversation)).turns;
});
