import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { promptOf } from '../model/prompts.ts';
import { openTurnScene, quiet, type TurnScene } from './scene.support.ts';
import { summarise } from './summaries.ts';
import { aModel, saying } from './turn.support.ts';

const prompt = promptOf('conversation-summary', '{{max_words}}\n{{conversation}}');

describe('a conversation that grows long', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  before(async () => {
    scene = await openTurnScene();
  });
  after(() => scene.close());

  it('is summarised, and the model is shown the summary in place of what is old', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const say = async (question: string) => {
      const model = aModel(() => saying(`Answer to ${question}`));
      const asked = await scene.ask(who, conversation, question);
      await (await scene.worker({ model })).handle(asked.record);
      return { asked, shown: model.requests[0]?.messages ?? [] };
    };
    for (let i = 1; i <= 12; i += 1) await say(`Question ${i}`);
    const { asked } = await say('The thirteenth');

    const turn = await turnOf(asked.turn_id);
    const model = aModel(() => saying('He asked ', 'many questions.'));
    const parts = { pool: scene.pool, model, prompt, log: quiet };
    const signal = AbortSignal.timeout(10_000);
    assert.equal(await summarise(parts, turn, signal), true);
    assert.match(
      model.requests[0]?.messages[0]?.content ?? '',
      /Customer: Question 1\nAssistant: Answer to Question 1\n/,
    );
    assert.equal(await summarise(parts, turn, signal), false, 'what is left is not many');

    const { shown } = await say('And now?');
    assert.match(shown[0]?.content ?? '', /Earlier in this conversation:\nHe asked many questions\.$/);
    const questions = shown.filter(({ role }) => role === 'user').map(({ content }) => content);
    assert.deepEqual(questions, [
      'Question 9',
      'Question 10',
      'Question 11',
      'Question 12',
      'The thirteenth',
      'And now?',
    ]);
  });

  async function turnOf(id: string) {
    const { rows } = await scene.owner.query('SELECT * FROM chat.turn WHERE id = $1', [id]);
    return rows[0];
  }
});
