import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import type { ModelEvent } from '../model/model.ts';
import { openTurnScene, readerOf, type TurnScene } from './scene.support.ts';
import { openTopics, startInstance } from './start.support.ts';
import { aModel, saying } from './turn.support.ts';

describe('instances that answer from Kafka', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  let topics: Awaited<ReturnType<typeof openTopics>>;
  let instance: Awaited<ReturnType<typeof startInstance>>;
  const cutAt = new Map<string, number>();

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
    instance = await startInstance({ names: topics.names, pool: scene.pool, instance: 'test-1', model });
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
